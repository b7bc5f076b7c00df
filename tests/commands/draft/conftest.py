"""A quick comparison of drafts of a tiny model."""

import pytest

from prunekit.plugins.commands.draft.bench import Bench
from prunekit.plugins.commands.latency.benchmark import Spread


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """What commands do is the same whether or not a model was proven before."""


@pytest.fixture
def quick(tiny_model, tmp_path):
    """The arguments of a comparison that takes a second."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Once upon a time\nThe king said to his\nA dog\n")
    return {
        "model": str(tiny_model("llama3", n_blocks=4)),
        "workdir": tmp_path / "work",
        "device": "cpu",
        "prompts": str(prompts),
        "new_tokens": 12,
        "repeats": 1,
    }


@pytest.fixture
def searched(quick):
    """The same with a search at two budgets."""
    return {**quick, "budgets": "1,2", "agree": {"data": "demo", "samples": 2, "length": 16}}


@pytest.fixture
def costing(monkeypatch):
    """`costing(0.1)`: every step of a draft takes that much of one of its dense model."""

    def set_cost(cost):
        monkeypatch.setattr(Bench, "_cost", lambda self, models, removed: Spread.of([cost]))

    return set_cost
