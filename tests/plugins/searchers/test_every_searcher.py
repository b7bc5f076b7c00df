"""How well built-in searchers do on made-up losses, and what they ask for."""

import itertools

import pytest

from prunekit.core import ConfigError, Problem
from prunekit.core.driver import Driver
from prunekit.core.problem import single_removals
from prunekit.core.registry import load
from prunekit.engine.signals import synthetic_signals

RANKINGS = {"angular", "block-influence", "relative-magnitude", "taylor"}
"""Those that choose by a signal alone, whatever the loss."""
BY_LOSS = sorted(
    e.name
    for e in load().entries
    if e.kind == "searcher" and e.source == "prunekit" and e.name not in RANKINGS
)
STUDY_SIZES = pytest.mark.parametrize(("n", "k"), [(32, 7), (32, 9), (36, 7), (36, 9)])


@pytest.fixture(params=BY_LOSS)
def searcher(request, registry):
    return registry.get("searcher", request.param).cls()


def additive(subset):
    return 2.0 + sum(((7 * i) % 13) / 13 for i in subset)


def with_neighbours(subset):
    return additive(subset) + sum(0.4 for i in subset if i + 1 in subset)


def run(searcher, problem, loss):
    asked = []

    def evaluate(subsets):
        asked.extend(subsets)
        return [loss(s) for s in subsets]

    return Driver(searcher, problem).run(evaluate), asked


def optimum(problem, loss):
    subsets = map(frozenset, itertools.combinations(problem.removable, problem.budget))
    return min(subsets, key=lambda s: (loss(s), sorted(s)))


@pytest.mark.parametrize("searcher", sorted({*BY_LOSS} - {"random"}), indirect=True)
def test_an_additive_loss_is_solved(searcher):
    """All but the control, which promises nothing."""
    problem = Problem(14, 4)
    assert run(searcher, problem, additive)[0].removed == optimum(problem, additive)


def test_a_budget_of_one_is_solved(searcher):
    problem = Problem(10, 1)
    assert run(searcher, problem, with_neighbours)[0].removed == optimum(problem, with_neighbours)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("one-shot", lambda n, k: n),
        ("greedy", lambda n, k: k * n - k * (k - 1) // 2),
        ("beam", lambda n, k: n + 5 * ((k - 1) * n - k * (k - 1) // 2)),
        ("genetic", lambda n, k: n + 16 * 11),
        ("bayesian", lambda n, k: n + 200),
        ("cbo", lambda n, k: n + n * (n - 1) // 2 + 20 + 1),
        ("random", lambda n, k: 90),
    ],
)
@STUDY_SIZES
def test_subsets_asked(name, count, n, k, registry):
    choice, asked = run(registry.get("searcher", name).cls(), Problem(n, k), with_neighbours)
    assert choice.asked == len(asked) == count(n, k)


@pytest.mark.parametrize(("name", "trials"), [("swaps", 400), ("annealing", 300)])
@STUDY_SIZES
def test_subsets_asked_by_refinements_of_one_subset(name, trials, n, k, registry):
    """Those of one-shot, its choice, and up to as many as there are trials."""
    choice, asked = run(registry.get("searcher", name).cls(), Problem(n, k), with_neighbours)
    assert asked[:n] == single_removals(n)
    assert n + 1 < choice.asked <= n + 1 + trials


@STUDY_SIZES
def test_subsets_asked_by_evopress(n, k, registry):
    """A first parent, 64 random subsets, 60 times 32 children; of each two on all samples."""
    cls = registry.get("searcher", "evopress").cls
    choice, _ = run(cls(), Problem(n, k), with_neighbours)
    assert choice.asked <= 1 + 64 + 2 + 60 * (32 + 2)
    assert len(choice.losses) <= 1 + 2 + 60 * 2


@STUDY_SIZES
def test_subsets_asked_by_cbo_with_derivatives(n, k, registry):
    for hessian in ("fisher", "exact"):
        searcher = registry.get("searcher", "cbo").cls(hessian=hessian)
        problem = Problem(n, k, signals=synthetic_signals(searcher, n))
        assert run(searcher, problem, with_neighbours)[0].asked == n + 20 + 1


@STUDY_SIZES
def test_subsets_asked_by_fast_block_select(n, k, registry):
    """Each block, and in every round some groups of the length of each run."""
    cls = registry.get("searcher", "fast-block-select").cls
    choice, asked = run(cls(), Problem(n, k), with_neighbours)
    assert asked[:n] == single_removals(n)
    assert n <= choice.asked <= n + 40
    by_information = Problem(n, k, signals=synthetic_signals(cls(oracle="mi"), n))
    assert run(cls(oracle="mi"), by_information, with_neighbours)[0].asked == 0


@pytest.mark.parametrize(
    ("n", "k", "count"),
    [(32, 7, 3_365_856), (32, 9, 28_048_800), (36, 7, 8_347_680), (36, 9, 94_143_280)],
)
def test_subsets_that_trying_all_would_ask_for(n, k, count, registry):
    searcher = registry.get("searcher", "exhaustive").cls()
    with pytest.raises(ConfigError, match=f"would measure {count:,} subsets"):
        run(searcher, Problem(n, k), additive)
