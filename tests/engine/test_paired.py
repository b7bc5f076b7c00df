"""Paired tests and intervals: against SciPy, values by hand, and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, norm

from prunekit.core.measurement import Measurement
from prunekit.engine.paired import (
    RESAMPLES,
    apart,
    discordant,
    holm,
    mcnemar,
    normal_p,
    paired_interval,
)
from prunekit.engine.statistics import ratio_difference_error


def measured(values):
    return Measurement(tuple(map(float, values)), (1.0,) * len(values))


@pytest.mark.parametrize(("a", "b"), [(0, 0), (5, 5), (1, 7), (30, 12), (0, 40)])
def test_mcnemar_is_a_binomial_test_of_the_items_on_which_two_models_differ(a, b):
    by_hand = sum(math.comb(a + b, i) for i in range(min(a, b) + 1)) / 2 ** (a + b)
    assert mcnemar(a, b) == pytest.approx(min(1.0, 2 * by_hand))
    assert mcnemar(a, b) == mcnemar(b, a)
    if a + b:
        assert mcnemar(a, b) == binomtest(a, a + b).pvalue


def test_only_right_and_wrong_answers_are_discordant():
    assert discordant([1, 1, 0, 0], [1, 0, 1, 1]) == (1, 2)
    assert discordant([0.5, 1], [1, 0]) is None


def test_a_p_value_is_that_of_the_normal_distribution():
    assert normal_p(-0.3, 0.2) == pytest.approx(2 * norm.sf(1.5))
    assert apart(0.197, 0.1)
    assert not apart(-0.195, 0.1)
    assert not apart(0.0, 0.0)


def test_holm_by_hand():
    """Of four, the smallest counts four times, the next thrice, and none falls below an earlier."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_seldom_finds_a_difference_where_there_is_none():
    """In at most 5 % of the families of ten, within the error of the simulation."""
    families = np.random.default_rng(3).uniform(size=(4000, 10))
    found = np.mean([min(holm(family)) < 0.05 for family in families])
    assert 0.04 < found < 0.06


def test_the_interval_is_scipys_bootstrap_of_the_differences():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 30))
    expected = bootstrap(
        (a - b,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    found = paired_interval(measured(a), measured(b))
    assert found == pytest.approx(tuple(expected))
    assert paired_interval(measured(a), measured(b)) == found


def test_an_interval_of_perplexities_weighs_windows_by_their_tokens():
    a = Measurement((2.0, 9.0, 4.0), (1.0, 3.0, 2.0))
    low, high = paired_interval(a, Measurement((0.0,) * 3, a.weights), np.exp)
    means = [math.exp(x / w) - 1 for x, w in zip(a.sums, a.weights, strict=True)]
    assert min(means) <= low < math.exp(15 / 6) - 1 < high <= max(means)


def test_what_has_no_interval():
    assert paired_interval(measured([1.0]), measured([2.0])) is None
    assert paired_interval(measured([1.0, math.inf]), measured([1.0, 2.0])) is None
    assert paired_interval(measured([1e4, 1e4]), measured([1.0, 2.0]), np.exp) is None
    assert paired_interval(measured([1, 1]), measured([1, 1])) == (0.0, 0.0)


def pairs(seed, times, n=80):
    """Two models on the same items: hard items are hard for both, one is worse by 0.3."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        item = rng.normal(size=n)
        yield measured(item + 0.3 + rng.normal(size=n)), measured(item + rng.normal(size=n))


def test_95_in_100_intervals_of_the_bootstrap_cover_the_truth(monkeypatch):
    monkeypatch.setattr("prunekit.engine.paired.RESAMPLES", 799)
    found = [paired_interval(a, b) for a, b in pairs(0, 800)]
    assert 0.93 < np.mean([low < 0.3 < high for low, high in found]) < 0.97


def test_95_in_100_intervals_of_the_jackknife_cover_the_truth():
    gaps = [
        (math.fsum(a.sums) / 80 - math.fsum(b.sums) / 80 - 0.3, ratio_difference_error(a, b))
        for a, b in pairs(1, 2000)
    ]
    assert 0.93 < np.mean([not apart(gap, error) for gap, error in gaps]) < 0.97
