"""The best loss so far, request by request."""

import math

import pytest

from prunekit.core import Part, Problem
from prunekit.engine.best_so_far import BestSoFar, Improvement, check_improvements
from prunekit.engine.lockstep import LockStep

LOSSES = {(0, 1): 5.0, (2, 3): 4.0, (1, 3): 4.5, (1, 2): math.inf, (0, 3): 1.0}


class Asks:
    """Ask for these requests, then choose the last subset."""

    name = "asks"

    def __init__(self, requests):
        self.requests = requests

    def search(self, problem):
        for request in self.requests:
            yield request
        return request[-1]


def improvements(requests, n_blocks=4):
    lockstep = LockStep({0: (Asks(requests), Problem(n_blocks, 2))})

    def evaluate(wanted, share):
        return {s: LOSSES.get(tuple(sorted(s)), 0.0) for s in wanted}

    lockstep.run(evaluate)
    return lockstep.best[0].above(3.0)


def s(*blocks):
    return frozenset(blocks)


def test_each_improvement_is_at_the_block_forwards_of_its_request():
    """Without 0 and 1, blocks 2 and 3 run; without 2 and 3, 0 and 1; without 1 and 3, 0 and 2."""
    assert improvements([[s(0, 1)], [s(2, 3)], [s(1, 3)]]) == (
        Improvement(2, 5.0 - 3.0),
        Improvement(2 + 2, 4.0 - 3.0),
    )


def test_of_one_request_the_best_counts_after_all_of_it():
    (only,) = improvements([[s(0, 1), s(2, 3)]])
    assert only == Improvement(4, 1.0)


def test_other_sizes_and_what_is_not_finite_are_no_improvement():
    assert improvements([[s(0)], [s(1, 2)], [s(0, 1)]]) == (Improvement(3 + 2 + 2, 2.0),)


def test_a_loss_on_a_part_of_the_samples_is_no_improvement_but_costs():
    found = improvements([Part([s(0, 3)], share=0.5), [s(2, 3)]])
    assert found == (Improvement(1 + 2, 1.0),)


def test_under_several_objectives_each_block_runs_as_often():
    best = BestSoFar(budget=1)
    best.note([s(0)], [2.0], block_runs=5)
    assert best.above(1.5, n_objectives=3) == (Improvement(15, 0.5),)


@pytest.mark.parametrize(
    "found",
    [
        [(-1, 1.0)],
        [(5, 1.0), (4, 0.5)],
        [(5, 1.0), (6, 1.0)],
        [(5, 1.0), (11, 0.5)],
    ],
    ids=["below 0", "backwards", "no better", "after the end"],
)
def test_improvements_that_cannot_be_are_refused(found):
    with pytest.raises(ValueError, match="improvements cannot go from"):
        check_improvements([Improvement(*of) for of in found], block_runs=10)


def test_improvements_that_can_be():
    check_improvements([Improvement(5, 1.0), Improvement(10, -0.5)], block_runs=10)
    check_improvements([], block_runs=0)
