"""The control: random subsets."""

import collections
import itertools
import math

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.random_subsets import RandomSubsets


def evaluate(subsets):
    return [float((7 * sum(i * i for i in s)) % 101) for s in subsets]


@pytest.mark.parametrize("trials", [1, 90, 200])
def test_it_asks_for_as_many_different_subsets_as_trials_at_once(trials):
    problem = Problem(12, 4, protected=frozenset({0, 11}))
    driver = Driver(RandomSubsets(trials=trials), problem)
    request = list(driver.request)
    assert len(set(request)) == len(request) == trials
    assert all(len(s) == 4 and not s & {0, 11} for s in request)
    driver.answer(evaluate(request))
    losses = dict(zip(request, evaluate(request), strict=True))
    assert driver.removed == min(request, key=lambda s: (losses[s], sorted(s)))


@pytest.mark.parametrize("trials", [20, 21, 90])
def test_it_asks_for_all_where_there_are_no_more(trials):
    request = list(Driver(RandomSubsets(trials=trials), Problem(6, 3)).request)
    assert sorted(map(sorted, request)) == list(map(list, itertools.combinations(range(6), 3)))
    assert len(request) == math.comb(6, 3)


def test_one_of_the_default_draws_is_among_the_best_as_often_as_promised():
    assert 1 - (1 - 0.033) ** RandomSubsets().trials > 0.95


def test_seeds_draw_others_and_every_subset_alike():
    requests = [Driver(RandomSubsets(trials=5), Problem(5, 2, seed=s)).request for s in range(1000)]
    assert requests[0] != requests[1]
    counts = collections.Counter(itertools.chain(*requests))
    assert len(counts) == 10
    assert all(count == pytest.approx(500, abs=75) for count in counts.values())
