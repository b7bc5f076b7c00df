"""Sequential floating selection of removals."""

import itertools
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.floating import Floating
from prunekit.plugins.searchers.greedy import Greedy


def rugged(seed):
    def loss(subset):
        return random.Random(f"{seed}{sorted(subset)}").random() + 0.2 * len(subset)

    return loss


def run(searcher, problem, loss):
    return Driver(searcher, problem).run(lambda subsets: [loss(s) for s in subsets])


def table(costs, default):
    return lambda subset: costs.get(tuple(sorted(subset)), default * len(subset))


def test_where_no_restoring_pays_it_is_greedy():
    def additive(subset):
        return sum(((7 * i) % 13) / 13 for i in subset)

    problem = Problem(12, 5)
    floating, greedy = (run(s, problem, additive) for s in (Floating(), Greedy()))
    assert floating.removed == greedy.removed
    restored = sum(range(3, 6))  # each removal from the third on is followed by one look back
    assert floating.asked <= greedy.asked + restored


def test_a_block_that_was_removed_too_early_is_restored():
    """By hand: 0 is cheapest alone, but 1 and 2 go together; greedy keeps 0."""
    loss = table(
        {
            **{(0,): 1.0, (1,): 1.5, (2,): 1.6, (3,): 3.0},
            **{(0, 1): 2.5, (0, 2): 2.6, (1, 2): 1.8},
            **{(0, 1, 2): 2.7, (1, 2, 3): 2.0, (0, 1, 3): 5.0, (0, 2, 3): 5.0},
        },
        default=2.0,
    )
    driver = run(Floating(), Problem(5, 3), loss)
    assert run(Greedy(), Problem(5, 3), loss).removed == {0, 1, 2}
    assert driver.removed == {1, 2, 3}
    expected = [
        *({0}, {1}, {2}, {3}, {4}),
        *({0, 1}, {0, 2}, {0, 3}, {0, 4}),
        *({0, 1, 2}, {0, 1, 3}, {0, 1, 4}),
        {1, 2},  # restoring 0; {0, 1} and {0, 2} are known
        *({1, 2, 3}, {1, 2, 4}),
        *({2, 3}, {1, 3}),  # restoring 1 and 2 does not pay
    ]
    assert driver.requests == expected


@pytest.mark.parametrize("beyond", [0, 2])
@pytest.mark.parametrize("seed", range(12))
def test_neither_restoring_a_block_nor_another_addition_improves(seed, beyond):
    problem, loss = Problem(11, 5, protected=frozenset({3}), seed=seed), rugged(seed)
    driver = run(Floating(beyond=beyond), problem, loss)
    smaller = min((s for s in driver.requests if len(s) == 4), key=loss)
    assert all(loss(smaller) <= loss(driver.removed - {i}) for i in driver.removed)
    others = [i for i in problem.removable if i not in smaller]
    assert all(loss(driver.removed) <= loss(smaller | {i}) for i in others)
    assert loss(driver.removed) == min(loss(s) for s in driver.requests if len(s) == 5)


def test_nothing_is_asked_twice():
    for seed in range(5):
        requests = run(Floating(beyond=1), Problem(10, 4), rugged(seed)).requests
        assert len(requests) == len(set(requests))


def test_going_beyond_the_budget_finds_what_one_block_more_leads_to():
    """By hand: 1, 2 and 3 are cheap together, and two of them are then the best pair."""
    loss = table(
        {
            **{(0,): 1.0, (1,): 1.5, (2,): 1.6, (3,): 1.7},
            **{(0, 1): 2.0, (0, 2): 2.1, (0, 3): 2.2, (1, 2): 1.8, (1, 3): 1.9, (2, 3): 1.95},
            **{(0, 1, 2): 2.3},
        },
        default=3.0,
    )
    assert run(Floating(), Problem(5, 2), loss).removed == {0, 1}
    assert run(Floating(beyond=1), Problem(5, 2), loss).removed == {1, 2}


@pytest.mark.parametrize("beyond", [0, 1, 9])
def test_the_dense_model_and_one_without_blocks_are_never_asked_for(beyond):
    for n_blocks, budget in itertools.combinations(range(5, 1, -1), 2):
        driver = run(Floating(beyond=beyond), Problem(n_blocks, budget), rugged(0))
        assert {len(s) for s in driver.requests} <= set(range(1, n_blocks))
