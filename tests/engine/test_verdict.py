"""A ratio of perplexities in words: which level, and when that cannot be told."""

import json
import math
from dataclasses import replace

import pytest
from scipy.stats import t

from prunekit.engine.held_out import Finalist, HeldOut
from prunekit.engine.reading import Difference, Reading
from prunekit.engine.result import SearchResult, Work
from prunekit.engine.verdict import LEVELS, LogRatio, judge


def verdict(ratio, error=0.001, samples=64):
    return judge(LogRatio(math.log(ratio), error, samples))


@pytest.mark.parametrize(
    ("ratio", "level", "says"),
    [
        (0.8, "better", "better on this text; evaluate other text before you trust it"),
        (1.0, "unchanged", "hardly changed"),
        (1.2, "usable", "usable for many tasks; check yours"),
        (1.8, "worse", "expect worse answers; fine-tune it"),
        (3.0, "broken", "expect broken answers without repair or fine-tuning"),
    ],
)
def test_a_level_is_told_where_both_ends_of_the_interval_have_it(ratio, level, says):
    found = verdict(ratio)
    assert found.level == level
    assert found.words.endswith(f": {says}")
    assert found.remark == ""


def test_the_thresholds_rise_and_are_those_of_the_page():
    from pathlib import Path

    page = Path(__file__).parents[2].joinpath("docs", "verdict.md").read_text(encoding="utf-8")
    thresholds = [level.below for level in LEVELS]
    assert thresholds == sorted(thresholds)
    for level in LEVELS:
        below = f"{level.below:g}" if math.isfinite(level.below) else "above"
        assert f"| {below} | `{level.name}` | {level.says} |" in page


def test_the_interval_is_students_around_the_logarithm():
    found = judge(LogRatio(0.5, 0.1, 8))
    half = t.ppf(0.975, 7) * 0.1
    assert found.ratio == pytest.approx(math.exp(0.5))
    assert (found.low, found.high) == pytest.approx((math.exp(0.5 - half), math.exp(0.5 + half)))
    normal = judge(LogRatio(0.5, 0.1, None))
    assert normal.high == pytest.approx(math.exp(0.5 + 1.959964 * 0.1))


def test_an_interval_over_a_threshold_tells_no_level():
    found = judge(LogRatio(math.log(1.3), 0.02, None), " on 64 held-out samples")
    assert found.level is None
    assert found.words == (
        "perplexity 1.30 times the dense model's (1.25 to 1.35) on 64 held-out samples: between "
        "usable for many tasks and worse answers; more samples would show"
    )


def test_two_samples_leave_a_wide_interval_which_is_remarked_on():
    found = verdict(1.1, error=0.05, samples=2)
    assert found.level is None
    assert found.remark == "the interval is wide, from only 2 samples: measure more of them"
    assert verdict(1.1, error=0.05, samples=None).remark.startswith("the interval is wide, from so")


def test_one_sample_tells_no_level():
    for ratio in (LogRatio(0.0, None, 1), LogRatio(0.0, 0.0, 1), LogRatio(0.0, None, None)):
        found = judge(ratio)
        assert (found.ratio, found.low, found.level) == (1.0, None, None)
        assert "unknown error" in found.words


def test_a_perplexity_that_is_not_finite_is_broken_and_a_huge_one_is_a_number_or_none():
    assert judge(LogRatio(None, None, 64)).level == "broken"
    found = judge(LogRatio(1e100, 1e100, 64))
    assert (found.ratio, found.low, found.high, found.level) == (None, 0.0, None, None)
    json.dumps(verdict(1e30).__dict__, allow_nan=False)


RESULT = SearchResult(
    **{"model": "m", "weights": "w", "searcher": "greedy", "objective": "ppl"},
    unit="nats per token",
    **{"seed": 0, "n_blocks": 3, "budget": 1, "removed": (1,), "kept": (0, 2)},
    dense=Reading(2.5, {"perplexity": 12.2}),
    pruned=Reading(2.7, {"perplexity": 14.9}),
    difference=Difference(0.2, 0.01),
    runner_up=None,
    **{"parameters": 9, "parameters_removed": 3},
    work=Work(5, 4, 12, 15, 0.5),
    versions={},
    run="runs/a",
    samples=16,
)
WINNER = Finalist((1,), "greedy", 2.7, 3.5, Difference(0.0, 0.0), False)
HELD_OUT = HeldOut(64, 3.0, (WINNER,), Difference(0.3, 0.1), above=Difference(0.5, 0.01))


def test_a_search_is_judged_on_held_out_samples_if_there_are_any():
    on_calibration, held_out = RESULT.verdict, replace(RESULT, held_out=HELD_OUT).verdict
    assert on_calibration == judge(LogRatio(0.2, 0.01, 16), " on the 16 calibration samples")
    assert held_out == judge(LogRatio(0.5, 0.01, 64), " on 64 held-out samples")
    assert (on_calibration.level, held_out.level) == ("usable", "worse")


def test_held_out_losses_of_earlier_versions_have_no_error():
    found = replace(RESULT, held_out=replace(HELD_OUT, above=None)).verdict
    assert found.ratio == pytest.approx(math.exp(0.5))
    assert found.level is None


def test_a_loss_that_is_no_log_likelihood_has_no_verdict():
    assert replace(RESULT, dense=Reading(2.5, {})).verdict is None


def test_json_has_the_verdict():
    row = json.loads(RESULT.to_json())["verdict"]
    assert (row["level"], row["words"]) == ("usable", RESULT.verdict.words)
    assert json.loads(replace(RESULT, dense=Reading(2.5, {})).to_json())["verdict"] is None
