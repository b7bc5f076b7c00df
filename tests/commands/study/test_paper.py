"""The searchers of examples/paper.yaml, as published and repaired, on a tiny model."""

from pathlib import Path

import pytest
import yaml

import prunekit

PAPER = Path(__file__).parents[3] / "examples" / "paper.yaml"
FEWER = {"population": 4, "generations": 1, "trials": 6, "initial": 4}


@pytest.fixture(scope="module")
def losses(tiny_model, tmp_path_factory):
    """Losses and signals of the paper's searchers, by searcher and seed."""
    paper = yaml.safe_load(PAPER.read_text())
    searchers = {
        label: {k: FEWER.get(k, v) for k, v in (options or {}).items()}
        for label, options in paper["searchers"].items()
    }
    small = {
        "models": {"tiny": {"model": str(tiny_model("llama3", n_blocks=8))}},
        "objectives": {"ppl": {"data": "demo", "samples": 2, "length": 24}},
        "searchers": searchers,
        "budgets": 3,
        "seeds": paper["seeds"],
    }
    outcome = prunekit.study(small, workdir=tmp_path_factory.mktemp("paper"))
    assert outcome.failures == ()
    assert {r.cell.searcher for r in outcome.results} == set(paper["searchers"])
    return {(r.cell.searcher, r.cell.seed): r for r in outcome.results}


def test_three_draws_and_three_seeds_of_those_that_use_chance(losses):
    assert yaml.safe_load(PAPER.read_text())["draws"] == [0, 1, 2]
    chance = {searcher for searcher, seed in losses if seed}
    assert chance == {"genetic", "genetic-published", "bayesian", "bayesian-published"}
    assert len(losses) == 14 + 2 * 4


@pytest.mark.parametrize(
    ("repaired", "published"),
    [
        ("genetic", "one-shot"),
        ("bayesian", "one-shot"),
        ("cbo", "one-shot"),
        ("cbo-without-filter", "one-shot"),
        ("fast-block-select-guarded", "one-shot"),
        ("beam-guarded", "greedy"),
        ("beam-guarded", "beam"),
        ("cbo", "cbo-without-rerank"),
        ("cbo-without-filter", "cbo-published"),
    ],
)
def test_a_repaired_searcher_ends_no_worse(losses, repaired, published):
    of_seeds = [found.loss for (searcher, _), found in losses.items() if searcher == repaired]
    assert max(of_seeds) <= losses[published, 0].loss


@pytest.mark.parametrize(("label", "more"), [("cbo", 21), ("cbo-without-filter", 21)])
def test_only_a_rerank_measures_more_than_all_pairs(losses, label, more):
    for published in ("cbo-published", "cbo-without-rerank"):
        assert losses[published, 0].asked == 8 + 8 * 7 // 2
    assert 8 + 8 * 7 // 2 < losses[label, 0].asked <= 8 + 8 * 7 // 2 + more
