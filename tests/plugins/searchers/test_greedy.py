"""Greedy iterative deletion."""

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.greedy import Greedy


def loss(subset):
    return sum(((5 * i) % 11) / 11 for i in subset) + 0.5 * sum(i + 2 in subset for i in subset)


def removed(budget):
    return Driver(Greedy(), Problem(11, budget)).run(lambda b: [loss(s) for s in b]).removed


def test_choices_for_smaller_budgets_are_part_of_those_for_larger_ones():
    assert all(removed(k) < removed(k + 1) for k in range(1, 8))


def test_every_step_takes_the_cheapest_block():
    expected = frozenset()
    for _ in range(5):
        expected = min((expected | {i} for i in range(11) if i not in expected), key=loss)
    assert removed(5) == expected


def test_of_equals_the_lowest_goes():
    choice = Driver(Greedy(), Problem(6, 3)).run(lambda b: [1.0] * len(b))
    assert choice.removed == {0, 1, 2}
