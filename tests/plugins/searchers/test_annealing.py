"""Simulated annealing."""

import math
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.annealing import Annealing, _accepts
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.swaps import Swaps


def rugged(subset):
    return random.Random(repr(sorted(subset))).random() + 0.1 * sum(subset)


def run(searcher, problem, loss=rugged):
    return Driver(searcher, problem).run(lambda subsets: [loss(s) for s in subsets])


def test_a_seed_determines_the_walk_and_another_gives_another():
    first, again = (run(Annealing(), Problem(16, 5, seed=3)) for _ in range(2))
    assert (first.requests, first.removed) == (again.requests, again.removed)
    assert run(Annealing(), Problem(16, 5, seed=4)).requests != first.requests


@pytest.mark.parametrize("seed", range(5))
def test_the_best_subset_on_the_way_is_returned(seed):
    driver = run(Annealing(trials=40), Problem(14, 4, seed=seed))
    complete = [s for s in driver.requests if len(s) == 4]
    assert rugged(driver.removed) == min(map(rugged, complete))


def test_every_step_is_one_swap_and_there_are_as_many_as_trials():
    driver = run(Annealing(trials=50, heat=0.0), Problem(30, 8))
    here, *walk = driver.requests[30:]
    assert here == run(OneShot(), Problem(30, 8)).removed
    assert len(walk) <= 50
    for tried in walk:  # without heat it goes wherever the loss does not rise, and nowhere else
        assert len(tried - here) == len(here - tried) == 1
        here = tried if rugged(tried) <= rugged(here) else here
    assert driver.removed == here


def test_a_budget_of_one_block_is_solved_and_no_choice_is_none():
    assert run(Annealing(), Problem(12, 1)).removed == min(({i} for i in range(12)), key=rugged)
    assert run(Annealing(), Problem(6, 3, protected=frozenset({0, 2, 5}))).removed == {1, 3, 4}


def test_single_removals_are_measured_for_the_scale_if_the_start_did_not():
    driver = run(Annealing(start="random", trials=5), Problem(12, 3))
    assert driver.requests[1:13] == [frozenset({i}) for i in range(12)]


def test_the_walk_is_the_same_for_a_loss_of_another_scale():
    """Powers of two, which change no rounding."""
    big = run(Annealing(), Problem(14, 4, seed=1), lambda s: 1024 * rugged(s))
    assert big.requests == run(Annealing(), Problem(14, 4, seed=1)).requests


def test_a_rise_is_accepted_with_the_probability_of_metropolis():
    rng = random.Random(0)
    accepted = sum(_accepts(rng, 1.0, 1.5, temperature=0.5) for _ in range(4000))
    assert accepted / 4000 == pytest.approx(math.exp(-1), abs=0.03)
    assert _accepts(rng, 1.0, 1.0, temperature=0.0)
    assert not _accepts(rng, 1.0, 1.001, temperature=0.0)
    assert not _accepts(rng, 1.0, math.inf, temperature=9.0)
    assert _accepts(rng, math.inf, math.inf, temperature=9.0)
    assert _accepts(rng, math.inf, 5.0, temperature=0.0)


def test_it_leaves_a_local_optimum_that_swaps_alone_cannot():
    """Odd blocks are cheap alone and together, even ones cheaper together; mixtures cost most."""

    def loss(subset):
        even = sum(i % 2 == 0 for i in subset)
        if len(subset) == 1:
            return 0.1 * even + 0.001 * sum(subset)
        return {0: 1.0, 4: 0.5}.get(even, 1.1) + 0.001 * sum(subset)

    assert run(Swaps(), Problem(12, 4), loss).removed == {1, 3, 5, 7}
    walks = [run(Annealing(heat=4.0), Problem(12, 4, seed=s), loss).removed for s in range(5)]
    assert any(all(i % 2 == 0 for i in removed) for removed in walks)
