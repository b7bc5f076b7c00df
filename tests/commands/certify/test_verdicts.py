"""Intervals of differences, and what they say."""

import math
import random

import pytest

from prunekit.core import ConfigError
from prunekit.engine.verdict import LogRatio, judge
from prunekit.plugins.commands.certify.capability import (
    Interval,
    judged,
    of_perplexity,
    paired_difference,
)
from prunekit.plugins.commands.certify.thresholds import Threshold, read_thresholds

KINDS = {"copying": "all", "perplexity": "all", "perplexity demo": "perplexity"}


def test_the_interval_of_right_and_wrong_items_is_that_of_agresti_and_min():
    dense, pruned = [1.0] * 60 + [0.0] * 40, [1.0] * 45 + [0.0] * 15 + [1.0] * 5 + [0.0] * 35
    b, c, n = 15.5, 5.5, 102  # only dense right, only pruned right, a half added to each cell
    centre, error = (c - b) / n, math.sqrt((b + c) - (c - b) ** 2 / n) / n
    found = paired_difference(dense, pruned)
    assert found.value == -0.1
    assert found.low == pytest.approx(centre - 1.959964 * error)
    assert found.high == pytest.approx(centre + 1.959964 * error)


@pytest.mark.parametrize(("p", "q", "n"), [(0.9, 0.8, 40), (0.5, 0.5, 40), (0.95, 0.95, 32)])
def test_intervals_hold_the_true_difference(p, q, n):
    """Right and wrong items, and means of three; both models share half of their chance."""
    rng, held, trials = random.Random(0), 0, 1000
    for _ in range(trials):
        pairs = [_pair(rng, p, q) for _ in range(n)]
        found = paired_difference(*zip(*pairs, strict=True))
        held += found.low <= q - p <= found.high
    assert held / trials > 0.93


def _pair(rng, p, q):
    shared = rng.random()
    return float(shared < p), float((shared if rng.random() < 0.5 else rng.random()) < q)


@pytest.mark.parametrize(
    ("dense", "low", "high", "verdict"),
    [
        (0.8, -0.05, 0.05, "kept"),
        (0.8, -0.09, -0.01, "kept"),
        (0.8, -0.2, -0.01, "hurt"),
        (0.8, -0.6, -0.41, "lost"),
        (0.8, -0.6, -0.39, "hurt"),
        (0.8, -0.2, 0.05, "cannot be told"),
        (0.8, 0.1, 0.2, "kept"),
        (0.1, -0.06, 0.06, "cannot be told"),
        (0.1, -0.04, 0.04, "kept"),
        (0.1, -0.09, -0.06, "lost"),
        (0.0, 0.0, 0.0, "cannot be told"),
    ],
)
def test_verdicts(dense, low, high, verdict):
    interval = Interval((low + high) / 2, low, high)
    found = judged("copying", "", "exercises", 40, dense, interval, Threshold())
    assert found.verdict == verdict
    assert bool(found.why) == (verdict == "cannot be told")


def test_what_is_lost_is_counted_above_chance():
    interval = Interval(-0.3, -0.35, -0.25)
    by_chance = judged("task", "", "items", 400, 0.7, interval, Threshold(), chance=0.25)
    assert by_chance.verdict == "lost"
    assert judged("task", "", "items", 400, 0.7, interval, Threshold()).verdict == "hurt"


def test_perplexities_are_scored_by_their_ratio():
    twice = of_perplexity(judge(LogRatio(math.log(2), 0.0, 16)))
    assert (twice.value, twice.low, twice.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert of_perplexity(judge(LogRatio(None, None, 16))) == Interval(-1, -1, -1)
    unknown = of_perplexity(judge(LogRatio(0.1, None, None)))
    assert (unknown.low, unknown.high) == (-1, 0)


def test_thresholds_of_a_file(tmp_path):
    path = tmp_path / "thresholds.yaml"
    path.write_text("all: {kept: 0.2}\nperplexity: {require: hurt}\ncopying: {lost: 0.9}\n")
    found = read_thresholds(path, KINDS)
    assert found["copying"] == Threshold(0.2, 0.9)
    assert found["perplexity demo"] == Threshold(0.2, 0.5, "hurt")
    assert read_thresholds(None, KINDS)["copying"] == Threshold()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("copyng: {kept: 0.1}", ":1: copyng: no such capability. Did you mean"),
        ("all: {}\ncopying: {kep: 0.1}", ":2: copying.kep: no such key. Did you mean"),
        ("copying: {kept: 2}", "above 0, at most 1; got 2"),
        ("copying: {kept: true}", "above 0, at most 1; got True"),
        ("copying: {require: good}", "expected one of kept, cannot be told, hurt, lost; got"),
        ("copying: 0.1", "expected keys such as"),
        ("- copying", "expected keys and values"),
    ],
)
def test_wrong_thresholds(text, message, tmp_path):
    path = tmp_path / "thresholds.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_thresholds(path, KINDS)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
