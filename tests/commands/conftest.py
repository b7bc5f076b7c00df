"""A quick search on a tiny model, with everything kept in one folder."""

import pytest

import prunekit


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """What commands do is the same whether or not a model was proven before."""


@pytest.fixture
def repeated_seldom(monkeypatch):
    """How stable a choice is takes many repeats, of which a test of something else needs few."""
    monkeypatch.setattr("prunekit.engine.stability.MOST_REPEATS", 3)


@pytest.fixture
def quick(tiny_model, tmp_path):
    """The arguments of a search that takes a second."""
    return {
        "model": str(tiny_model("llama3", n_blocks=8)),
        "workdir": tmp_path / "work",
        "budget": 3,
        "ppl": {"data": "demo", "samples": 4, "length": 24},
    }


@pytest.fixture
def repaired(quick):
    """`repaired("magnitude", searcher="greedy")`: a quick search of the demo under a repair."""

    def make(repair, **more):
        words = {"searcher": "one-shot", "dtype": "float32", "repair_tokens": 2000, "finalists": 2}
        return prunekit.search(**{**quick, **words, "repair": repair, **more})

    return make
