"""A quick training of a tiny model without two of its blocks."""

import pytest

from prunekit.plugins.objectives.rows import demo_rows


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


@pytest.fixture
def overfitting(quick, tmp_path):
    """A training that gains at its first check alone, on little text and at a high rate."""
    path = tmp_path / "little.txt"
    path.write_text(" ".join(row["text"] for row in demo_rows("calibration-passages")[:4]))
    words = {"tokens": 8192, "checks": 32, "patience": 2, "rate": 0.1}
    return {**quick, **words, "ppl": {**quick["ppl"], "data": str(path)}}
