"""Margins in units of the spread of an item's options."""

import dataclasses
import statistics

import pytest
import torch

from prunekit.plugins.objectives.margin import Margin
from prunekit.testing import check_objective

DENSE = [[-1.0, -2.0, -4.0], [-5.0, -3.0]]
PRUNED = [[-1.0, -1.5, -2.5], [-2.0, -3.0]]
GAPS = [1.0, 1.0]  # -1 - (-1.5 - 2.5) / 2, and -2 - -3


def sums(measured, objective, items, dense=None):
    return measured(objective, items, dense)[0].tolist()


@pytest.mark.parametrize(("scale", "of"), [("dense", DENSE), ("own", PRUNED)])
def test_a_gap_is_divided_by_the_standard_deviation_over_options(measured, scale, of):
    expected = [-gap / statistics.pstdev(item) for gap, item in zip(GAPS, of, strict=True)]
    assert sums(measured, Margin(scale=scale), PRUNED, DENSE) == pytest.approx(expected)


def test_by_default_it_is_the_gap_and_the_dense_model_is_not_run(measured):
    assert Margin().scale == "none"
    assert not Margin().prepares()
    assert not Margin(scale="own").prepares()
    assert sums(measured, Margin(), PRUNED) == [-gap for gap in GAPS]


def test_its_unit_is_that_of_a_ratio():
    assert Margin().unit == "nats per item"
    scaled = dataclasses.replace(Margin(), scale="own")
    assert scaled.unit == "standard deviations per item"
    assert dataclasses.replace(scaled, scale="none").unit == "nats per item"


@pytest.mark.parametrize("negatives", ["mean", "max"])
@pytest.mark.parametrize("reduction", ["item-mean", "pair-mean", "pudding-sum"])
def test_the_dense_model_itself_has_the_same_margin_by_both(measured, negatives, reduction):
    of_dense, own = (
        measured(Margin(scale=scale, negatives=negatives, reduction=reduction), DENSE)
        for scale in ("dense", "own")
    )
    assert of_dense[0].tolist() == own[0].tolist()
    assert of_dense[1].tolist() == own[1].tolist()


@pytest.mark.parametrize("factor", [0.5, 3.0, 100.0])
def test_no_common_factor_changes_a_margin_by_its_own_spread(measured, factor):
    scaled = [[factor * x for x in item] for item in PRUNED]
    own = Margin(scale="own")
    assert sums(measured, own, scaled) == pytest.approx(sums(measured, own, PRUNED))


def test_options_that_are_equally_likely_have_the_smallest_spread(measured):
    equal, wider = [[-2.0, -2.0]], [[-1.9, -2.0]]
    assert sums(measured, Margin(scale="own"), equal) == [0]
    assert sums(measured, Margin(scale="dense"), wider, equal) == pytest.approx([-0.1 / 0.01])


def test_the_derivative_is_finite_where_options_are_equally_likely(measured):
    options = torch.full((3,), -2.0, dtype=torch.float64, requires_grad=True)
    found, _ = measured(Margin(scale="own"), [list(options)])
    (slope,) = torch.autograd.grad(found.sum(), options)
    assert slope.tolist() == pytest.approx([-100, 50, 50])


@pytest.mark.parametrize("scale", ["dense", "own"])
def test_it_keeps_the_contract_of_objectives(scale):
    options = {**Margin.demo_options, "samples": 8, "scale": scale}
    check_objective(dataclasses.replace(Margin(), **options))
