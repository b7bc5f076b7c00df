"""Beam search."""

import itertools
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.beam import Beam
from prunekit.plugins.searchers.exhaustive import Exhaustive
from prunekit.plugins.searchers.greedy import Greedy
from prunekit.plugins.searchers.one_shot import OneShot


def rugged(seed):
    def loss(subset):
        return random.Random(f"{seed}{sorted(subset)}").random() + 0.2 * len(subset)

    return lambda subsets: [loss(s) for s in subsets]


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy(seed):
    problem = Problem(10, 4)
    beam, greedy = (Driver(s, problem).run(rugged(seed)) for s in (Beam(width=1), Greedy()))
    assert (beam.removed, beam.asked) == (greedy.removed, greedy.asked)


def test_with_a_budget_of_one_all_agree():
    problem = Problem(10, 1)
    choices = {Driver(s, problem).run(rugged(0)).removed for s in (Beam(), Greedy(), OneShot())}
    assert len(choices) == 1


def test_a_beam_of_everything_finds_the_optimum():
    problem = Problem(9, 4)
    subsets = map(frozenset, itertools.combinations(range(9), 4))
    best = min(subsets, key=lambda s: rugged(3)([s])[0])
    assert Driver(Beam(width=1000), problem).run(rugged(3)).removed == best
    assert Driver(Exhaustive(), problem).run(rugged(3)).removed == best


@pytest.mark.parametrize("seed", range(20))
def test_including_greedy_it_is_never_worse_than_greedy(seed):
    problem, evaluate = Problem(10, 4), rugged(seed)
    beam, greedy = (
        evaluate([Driver(s, problem).run(evaluate).removed])[0]
        for s in (Beam(include_greedy=True, width=2), Greedy())
    )
    assert beam <= greedy


def test_a_set_reached_in_two_orders_takes_one_place():
    asked = []

    def evaluate(subsets):
        asked.append(subsets)
        return [float(sum(s)) for s in subsets]

    Driver(Beam(width=2), Problem(6, 3)).run(evaluate)
    parents = {s - {i} for s in asked[2] for i in s} & set(asked[1])
    assert {frozenset({0, 1}), frozenset({0, 2})} <= parents
