"""A quick certificate of a tiny model without two of its blocks."""

import pytest


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """What commands do is the same whether or not a model was proven before."""


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("Once upon a time\nThe king and\nIn the morning she went\nWhy\n")
    return path


@pytest.fixture
def quick(tiny_model, tmp_path, prompts):
    """The arguments of a certificate that takes a second."""
    return {
        "model": str(tiny_model("llama3", n_blocks=4)),
        "remove": [1, 2],
        "workdir": tmp_path / "work",
        "device": "cpu",
        "dtype": "float32",
        "prompts": str(prompts),
        "new_tokens": 6,
        "samples": 1,
        "exercises": 2,
        "batch_size": 3,
    }
