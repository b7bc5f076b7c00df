"""The genetic search and its prior."""

import collections
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.genetic import Genetic
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.prior import Prior


def rugged(subset):
    return random.Random(repr(sorted(subset))).random() + 0.1 * sum(subset)


def evaluate(subsets):
    return [rugged(s) for s in subsets]


def requests(searcher, problem):
    driver, asked = Driver(searcher, problem), []
    while driver.request is not None:
        asked.append(list(driver.request))
        driver.answer(evaluate(driver.request))
    return asked


@pytest.mark.parametrize("seed", range(5))
def test_it_never_ends_worse_than_one_shot(seed):
    problem = Problem(20, 5, seed=seed)
    genetic, one_shot = (Driver(s, problem).run(evaluate).removed for s in (Genetic(), OneShot()))
    assert rugged(genetic) <= rugged(one_shot)


def test_the_first_generation_begins_with_the_one_shot_choice():
    problem = Problem(20, 5)
    _, first, *_ = requests(Genetic(), problem)
    assert first[0] == Driver(OneShot(), problem).run(evaluate).removed
    assert len(set(first)) == 16


@pytest.mark.parametrize("seed", range(3))
def test_without_the_one_shot_choice_the_first_generation_is_drawn_from_the_prior(seed):
    problem = Problem(20, 5, seed=seed)
    singles, first, *_ = requests(Genetic(include_one_shot=False), problem)
    prior = Prior.from_singles(dict(zip(range(20), evaluate(singles), strict=True)))
    rng = problem.rng()
    drawn = dict.fromkeys(prior.draw(rng, range(20), 5) for _ in range(100))
    assert first == list(drawn)[:16]


def test_without_the_one_shot_choice_it_can_end_worse_than_one_shot():
    """Additive losses, of which one-shot is the optimum, and no generation to improve on it."""
    problem = Problem(20, 5)
    blind = Genetic(population=2, generations=0, include_one_shot=False)
    ends = [Driver(s, problem).run(lambda subsets: [float(sum(s)) for s in subsets]).removed
            for s in (blind, OneShot())]  # fmt: skip
    assert sum(ends[0]) > sum(ends[1]) == 10


def test_three_of_sixteen_are_kept_and_the_rest_is_new():
    _, *generations = requests(Genetic(), Problem(20, 5))
    assert len(generations) == 11
    seen = set(generations[0])
    for generation in generations[1:]:
        assert sum(subset in seen for subset in generation) == 3
        seen |= set(generation)


def test_it_ends_when_every_subset_was_tried():
    asked = requests(Genetic(), Problem(5, 2))
    assert len({s for batch in asked[1:] for s in batch}) == 10
    assert len(asked) < 12


def test_seeds_give_different_searches():
    one, two = (requests(Genetic(), Problem(20, 5, seed=s)) for s in (1, 2))
    assert one[0] == two[0]
    assert one[2] != two[2]


def test_the_prior_prefers_cheap_blocks_and_forgets_none():
    prior = Prior.from_singles({i: float(i) ** 9 for i in range(10)})
    weights = [prior.weights[i] for i in range(10)]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(1)
    assert weights[-1] >= 0.01


def test_draws_follow_the_weights():
    prior = Prior({0: 0.6, 1: 0.3, 2: 0.1})
    rng = random.Random(0)
    counts = collections.Counter(min(prior.draw(rng, range(3), 1)) for _ in range(20_000))
    assert [counts[i] / 20_000 for i in range(3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.015)
    assert prior.draw(rng, [1, 2], 2) == {1, 2}
    assert prior.draw(rng, [1, 2], 0) == frozenset()
