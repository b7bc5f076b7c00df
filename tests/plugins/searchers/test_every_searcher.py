"""How well built-in searchers do on made-up losses, and what they ask for."""

import itertools

import pytest

from prunekit.core import Problem
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


def test_an_additive_loss_is_solved(searcher):
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
    ],
)
@pytest.mark.parametrize(("n", "k"), [(32, 7), (32, 9), (36, 7), (36, 9)])
def test_subsets_asked(name, count, n, k, registry):
    choice, asked = run(registry.get("searcher", name).cls(), Problem(n, k), with_neighbours)
    assert choice.asked == len(asked) == count(n, k)
