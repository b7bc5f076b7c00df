"""The gate: which bound is missed, and which one makes no sense."""

import pytest

from prunekit.core import ConfigError
from prunekit.plugins.commands.evaluate.comparison import EvaluationResult, Row
from prunekit.plugins.commands.evaluate.gate import Gate, GateMissed


def row(name, dense, pruned, better=True):
    metric = "acc" if better else "perplexity"
    return Row(name, metric, dense, pruned, None, None, better, ("dense", "pruned"), {})


def result(ppl=(50.0, 55.0), **tasks):
    return EvaluationResult(
        model="m",
        removed=(1,),
        perplexities={"demo": row("demo", *ppl, better=False)},
        tasks={name: row(name, 0.9, pruned) for name, pruned in tasks.items()},
        fingerprint={},
        versions={},
    )


def test_what_holds_says_nothing():
    Gate(1.1, 0.5).check(result(piqa=0.4, boolq=0.6))
    Gate(None, {"piqa": 0.4}).check(result(piqa=0.4, boolq=0.0))


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (Gate(1.05, None), "perplexity on demo is 1.1000 times .* 0.0500 more than .* 1.05"),
        (Gate(None, 0.6), "the mean accuracy is 0.5000, 0.1000 less than the wanted 0.6"),
        (Gate(None, {"piqa": 0.75}), "accuracy on piqa is 0.4000, 0.3500 less"),
        (Gate(1.0, {"mean": 0.9, "boolq": 0.9}), "times.*; the mean.*; accuracy on boolq"),
    ],
)
def test_what_is_missed_says_by_how_much(gate, message):
    with pytest.raises(GateMissed, match=message) as missed:
        gate.check(result(piqa=0.4, boolq=0.6))
    assert missed.value.exit_status == 3
    assert missed.value.result == result(piqa=0.4, boolq=0.6)


def test_what_is_not_finite_misses_every_bound():
    with pytest.raises(GateMissed, match="inf times"):
        Gate(1e9, None).check(result(ppl=(50.0, None)))
    with pytest.raises(GateMissed, match="0.0000"):
        Gate(None, 0.1).check(result(piqa=None))


def test_metrics_that_are_no_accuracy_take_no_part_in_the_mean():
    found = result(piqa=0.6)
    tasks = {**found.tasks, "wikitext": row("wikitext", 20.0, 25.0, better=False)}
    mixed = EvaluationResult("m", (1,), {}, tasks, {}, {})
    assert mixed.mean_accuracy().pruned == 0.6


@pytest.mark.parametrize(
    ("bounds", "there", "message"),
    [
        ((1.1, None), {"protocols": []}, "add --ppl"),
        ((1.1, None), {"dense": False}, "no dense model to compare with"),
        ((None, 0.5), {"tasks": []}, "add --tasks"),
        ((None, {"pika": 0.5}), {}, "pika is not evaluated. Did you mean 'piqa'?"),
    ],
)
def test_a_bound_on_what_is_not_evaluated_is_told_beforehand(bounds, there, message):
    with pytest.raises(ConfigError, match=message):
        Gate(*bounds).check_names(
            **{"protocols": ["demo"], "tasks": ["piqa"], "dense": True, **there}
        )


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((0, None), "expected a number above 0"),
        ((float("nan"), None), "expected a number above 0"),
        ((None, 60), "min-accuracy of mean: expected 0 to 1, got 60"),
        ((None, {"piqa": "high"}), "expected a number from 0 to 1, got 'high'"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(bounds, message):
    with pytest.raises(ConfigError, match=message):
        Gate(*bounds)
