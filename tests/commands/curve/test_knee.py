"""The knee of a curve, by hand."""

import math

import pytest

from prunekit.plugins.commands.curve.knee import Knee, knee_of


def test_it_is_where_the_loss_is_furthest_below_the_chord():
    """The chord from (0, 1) to (4, 5) is at 1, 2, 3, 4, 5."""
    assert knee_of([0, 1, 2, 3, 4], [1.0, 1.5, 1.75, 3.5, 5.0]) == Knee(2, 1.25, 4)


def test_budgets_need_not_be_neighbours():
    """The chord from (0, 0) to (8, 8) is at 2 for 2 blocks, and at 6 for 6."""
    assert knee_of([0, 2, 6, 8], [0.0, 1.0, 4.0, 8.0]) == Knee(6, 2.0, 8)


def test_of_two_the_smaller_budget_counts():
    assert knee_of([0, 1, 2, 3], [0.0, 0.0, 1.0, 3.0]) == Knee(1, 1.0, 3)


def test_a_loss_that_is_not_finite_is_no_point():
    assert knee_of([0, 1, 2, 3], [0.0, 0.25, 2.0, math.inf]) == Knee(1, 0.75, 2)


@pytest.mark.parametrize(
    "losses", [[], [1.0], [1.0, 2.0], [1.0, 2.0, 3.0], [0.0, 2.0, 3.0], [math.inf] * 4]
)
def test_a_curve_may_have_none(losses):
    assert knee_of(range(len(losses)), losses) is None
