"""A quick training of a tiny model without two of its blocks."""

import pytest


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """What commands do is the same whether or not a model was proven before."""


@pytest.fixture
def quick(tiny_model, tmp_path):
    """The arguments of a training that takes a second."""
    return {
        "model": str(tiny_model("llama3", n_blocks=4)),
        "remove": [1, 2],
        "workdir": tmp_path / "work",
        "device": "cpu",
        "tokens": 2048,
        "rate": 1e-2,
        "batch_tokens": 128,
        "ppl": {"data": "demo", "samples": 4, "length": 32},
    }
