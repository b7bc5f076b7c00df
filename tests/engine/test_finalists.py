"""The best subsets of a search are measured again on samples that it did not see."""

import math

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.engine.finalists import (
    candidates,
    measure_held_out,
)
from prunekit.engine.held_out import times_held_out
from prunekit.engine.reading import Difference
from prunekit.plugins.searchers.greedy import Greedy

A, B, C, D = (frozenset(s) for s in ({0, 1}, {1, 2}, {2, 3}, {0, 3}))
DENSE = frozenset()


class Known:
    """A session that knows the losses of subsets, and one standard error for all differences."""

    def __init__(self, losses, error=0.1, n_samples=16):
        self.known, self.error, self.n_samples = {DENSE: 1.0, **losses}, error, n_samples

    def losses(self, subsets):
        return [self.known[subset] for subset in subsets]

    def difference(self, a, b):
        return Difference(self.known[a] - self.known[b], self.error)


def searched(loss, budget=2):
    return Driver(Greedy(), Problem(4, budget)).run(lambda subsets: [loss(s) for s in subsets])


def test_candidates_are_the_choice_the_next_best_and_the_rankings():
    driver = searched(lambda s: float(sum(s)))
    assert driver.removed == A
    found = candidates(driver, "greedy", {"one": C, "other": C, "third": A}, most=2)
    assert found == {A: "greedy", frozenset({0, 2}): "greedy", C: "one"}
    assert next(iter(found)) == A


def test_a_subset_without_a_finite_loss_is_no_candidate():
    driver = searched(lambda s: math.inf if s == {0, 2} else float(sum(s)))
    assert frozenset({0, 2}) not in candidates(driver, "greedy", {}, most=4)


def test_the_winner_is_best_on_the_held_out_samples():
    session = Known({A: 1.1, B: 1.2, C: 1.5})
    held = Known({A: 1.9, B: 1.25, C: 1.3, DENSE: 1.2}, n_samples=64)
    found = measure_held_out({A: "greedy", B: "greedy", C: "angular"}, A, session, held)
    assert found.winner == B
    assert [(f.removed, f.found_by) for f in found.finalists] == [
        ((1, 2), "greedy"),
        ((2, 3), "angular"),
        ((0, 1), "greedy"),
    ]
    assert (found.samples, found.dense) == (64, 1.2)
    assert [f.loss for f in found.finalists] == [1.2, 1.5, 1.1]
    # A adds 0.7 to the held-out loss, and 0.1 to that of its calibration set
    assert found.overfitting.value == pytest.approx(0.6)
    assert found.overfitting.standard_error == pytest.approx(math.hypot(0.1, 0.1))
    assert found.above.value == pytest.approx(0.05)  # of the winner: 1.25 - 1.2


def test_finalists_are_told_apart_with_a_correction_for_their_number():
    """A difference of 2.1 errors has p = 0.036: enough for one rival, not for two of them."""
    session = Known({A: 1.0, B: 1.0, C: 1.0})
    held = Known({A: 1.0, B: 1.21, C: 1.21})
    assert [f.apart for f in measure_held_out({A: "", B: ""}, A, session, held).finalists] == [
        False,
        True,
    ]
    both = measure_held_out({A: "", B: "", C: ""}, A, session, held)
    assert not any(f.apart for f in both.finalists)


def test_a_finalist_without_a_finite_loss_comes_last_and_is_apart():
    session, held = Known({A: 1.0, B: 1.0}), Known({A: math.inf, B: 2.0})
    held.difference = lambda a, b: Difference(None if A in (a, b) else 0.0, None)
    found = measure_held_out({A: "greedy", B: "greedy"}, A, session, held)
    assert [(f.held_out, f.apart) for f in found.finalists] == [(2.0, False), (None, True)]
    assert found.overfitting == Difference(None, None)


@pytest.mark.parametrize(
    ("samples", "times"), [(1, 8), (8, 8), (32, 2), (33, 2), (64, 1), (500, 1)]
)
def test_small_calibration_sets_hold_out_more(samples, times):
    assert times_held_out(samples) == times
