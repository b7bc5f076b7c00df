"""What every searcher promises, on made-up losses."""

import itertools
import math
import random

import pytest

from prunekit.core import DENSE, Problem
from prunekit.core.driver import drive
from prunekit.core.registry import load

SEARCHERS = sorted(
    e.name for e in load().entries if e.kind == "searcher" and e.source == "prunekit"
)


@pytest.fixture(params=SEARCHERS)
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

    return drive(searcher, problem, evaluate), asked


def optimum(problem, loss):
    subsets = map(frozenset, itertools.combinations(problem.removable, problem.budget))
    return min(subsets, key=lambda s: (loss(s), sorted(s)))


def test_same_seed_same_requests_same_choice(searcher):
    problem = Problem(12, 4, seed=3)
    assert run(searcher, problem, with_neighbours) == run(searcher, problem, with_neighbours)


def test_an_additive_loss_is_solved(searcher):
    problem = Problem(14, 4)
    assert run(searcher, problem, additive)[0].removed == optimum(problem, additive)


def test_a_budget_of_one_is_solved(searcher):
    problem = Problem(10, 1)
    assert run(searcher, problem, with_neighbours)[0].removed == optimum(problem, with_neighbours)


def test_protected_blocks_are_never_asked_for(searcher):
    problem = Problem(10, 3, protected=frozenset({0, 1, 9}))
    choice, asked = run(searcher, problem, additive)
    assert not frozenset().union(choice.removed, *asked) & problem.protected


def test_everything_but_one_block_may_go(searcher):
    assert len(run(searcher, Problem(5, 4), with_neighbours)[0].removed) == 4


@pytest.mark.parametrize("budget", [2, 5])
def test_ties_do_not_matter(searcher, budget):
    choice, _ = run(searcher, Problem(8, budget), lambda s: 1.0)
    assert len(choice.removed) == budget


def test_fatal_blocks_are_avoided(searcher):
    def loss(subset):
        return math.inf if subset & {0, 11} else with_neighbours(subset)

    choice, _ = run(searcher, Problem(12, 4), loss)
    assert not choice.removed & {0, 11}


def test_losses_that_are_all_infinite_still_end_in_a_choice(searcher):
    assert len(run(searcher, Problem(8, 3), lambda s: math.inf)[0].removed) == 3


def test_the_dense_model_is_not_asked_for(searcher):
    assert DENSE not in run(searcher, Problem(8, 3), additive)[1]


def test_no_other_chance_is_used(searcher, monkeypatch):
    def forbidden(*args):
        raise AssertionError("chance must come from problem.rng()")

    for name in ("random", "randrange", "sample", "choice", "shuffle", "gauss", "uniform"):
        monkeypatch.setattr(random, name, forbidden)
    run(searcher, Problem(8, 3), additive)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("one-shot", lambda n, k: n),
        ("greedy", lambda n, k: k * n - k * (k - 1) // 2),
        ("beam", lambda n, k: n + 5 * ((k - 1) * n - k * (k - 1) // 2)),
        ("genetic", lambda n, k: n + 16 * 11),
        ("bayesian", lambda n, k: n + 200),
        ("cbo", lambda n, k: n + n * (n - 1) // 2 + 20 + 1),
    ],
)
@pytest.mark.parametrize(("n", "k"), [(32, 7), (32, 9), (36, 7), (36, 9)])
def test_subsets_asked(name, count, n, k, registry):
    choice, asked = run(registry.get("searcher", name).cls(), Problem(n, k), with_neighbours)
    assert choice.asked == len(asked) == count(n, k)
