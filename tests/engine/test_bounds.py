"""Losses within and beyond a bound, as numbers."""

import math

import pytest

from prunekit.engine.bounds import CEILING, UNCHANGED, Bound, below_ceiling


def test_the_excess_is_what_exceeds_the_logarithm_of_the_ratio():
    bound = Bound("ppl", 1.5)
    assert bound.excess(3.0 + math.log(1.5), 3.0) == pytest.approx(0)
    assert bound.excess(2.0, 3.0) == 0
    assert bound.excess(4.0, 3.0) == pytest.approx(1 - math.log(1.5))


def test_a_complaint_gives_both_numbers():
    said = Bound("ppl", 1.5).complaint(3.0 + math.log(2), 3.0)
    assert said == (
        "the bound ppl:1.5 is broken: exp(loss - dense loss) is 2, and at most 1.5 was asked for"
    )
    assert Bound("ppl", 2.5).complaint(3.0 + math.log(2), 3.0) == ""
    assert "is 1.014e+304" in Bound("ppl", 1.5).complaint(5000.0, 3.0)


def test_a_sum_keeps_its_order_and_stays_below_the_ceiling():
    sums = [-1e9, -3.5, 0.0, 499.0, UNCHANGED, 501.0, 1000.0, 5e4, 1e9]
    bounded = [below_ceiling(x) for x in sums]
    assert bounded[:5] == sums[:5]
    assert bounded == sorted(set(bounded))
    assert bounded[-1] < CEILING


def test_neither_value_nor_slope_jumps_where_it_begins_to_bend():
    step = 1e-4
    slope = (below_ceiling(UNCHANGED + step) - UNCHANGED) / step
    assert slope == pytest.approx(1, abs=1e-5)
