"""Local search by swaps."""

import itertools
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.moves import neighbours, random_swap
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.swaps import Swaps

IMPROVEMENTS = pytest.mark.parametrize("improvement", ["first", "best"])


def rugged(seed):
    def loss(subset):
        return random.Random(f"{seed}{sorted(subset)}").random() + 0.05 * sum(subset)

    return loss


def run(searcher, problem, loss):
    return Driver(searcher, problem).run(lambda subsets: [loss(s) for s in subsets])


def one_swap_away(subset, removable):
    """By definition: all subsets of that size that share all blocks but one."""
    size = len(subset)
    subsets = map(frozenset, itertools.combinations(removable, size))
    return {s for s in subsets if len(s & subset) == size - 1}


@pytest.mark.parametrize("start", ["one-shot", "random"])
@pytest.mark.parametrize("seed", range(5))
@IMPROVEMENTS
def test_no_single_swap_improves_on_the_result(improvement, seed, start):
    problem = Problem(11, 4, protected=frozenset({0, 10}), seed=seed)
    searcher = Swaps(improvement=improvement, start=start)
    removed = run(searcher, problem, loss := rugged(seed)).removed
    near = one_swap_away(removed, problem.removable)
    assert len(near) == 4 * 5
    assert all(loss(removed) <= loss(s) for s in near)


def test_the_best_of_a_round_is_taken_again_and_again():
    problem, loss = Problem(9, 3), rugged(1)
    here = run(OneShot(), problem, loss).removed
    while loss(best := min(one_swap_away(here, range(9)), key=loss)) < loss(here):
        here = best
    assert run(Swaps(improvement="best"), problem, loss).removed == here


def test_the_first_swap_that_gains_is_taken():
    """One-shot removes 0 and 1, which cost more together; 2 for 1 is the most promising swap."""

    def loss(subset):
        return sum(subset) / 10 + 5 * ({0, 1} <= subset)

    driver = run(Swaps(), Problem(6, 2), loss)
    assert driver.requests[6:8] == [frozenset({0, 1}), frozenset({0, 2})]
    assert driver.removed == {0, 2}


@IMPROVEMENTS
@pytest.mark.parametrize("trials", [1, 7, 25])
def test_it_asks_for_no_more_than_its_trials(improvement, trials):
    problem = Problem(14, 5)
    driver = run(Swaps(improvement=improvement, trials=trials), problem, rugged(2))
    one_shot = run(OneShot(), problem, rugged(2)).removed
    assert driver.asked == 14 + 1 + trials
    assert rugged(2)(driver.removed) == min(map(rugged(2), [one_shot, *driver.requests[15:]]))


@IMPROVEMENTS
def test_with_nothing_to_swap_it_keeps_its_start(improvement):
    problem = Problem(5, 3, protected=frozenset({1, 2}))
    assert run(Swaps(improvement=improvement), problem, rugged(0)).removed == {0, 3, 4}


@IMPROVEMENTS
def test_a_finite_loss_is_found_from_an_infinite_one(improvement):
    def loss(subset):
        return float("inf") if {0, 1} <= subset else float(sum(subset))

    assert run(Swaps(improvement=improvement), Problem(6, 2), loss).removed == {0, 2}


def test_neighbours_are_all_subsets_that_are_one_swap_away():
    subset, removable = frozenset({1, 4, 5}), (0, 1, 2, 4, 5, 7)
    found = neighbours(subset, removable)
    assert len(found) == len(set(found))
    assert set(found) == one_swap_away(subset, removable)


@pytest.mark.parametrize(("count", "swapped"), [(1, 1), (2, 2), (3, 2)])
def test_random_swaps_exchange_as_many_as_there_are(count, swapped):
    subset, rng = frozenset({0, 2, 3}), random.Random(0)
    for _ in range(20):
        other = random_swap(rng, subset, (0, 1, 2, 3, 5), count)
        assert len(other) == 3
        assert len(other - subset) == swapped
        assert other <= {0, 1, 2, 3, 5}
