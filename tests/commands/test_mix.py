"""A mix of objectives."""

import math
import statistics

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.estimate import estimate
from prunekit.engine.opening import open_session
from prunekit.engine.plan import resolve
from prunekit.plugins.objectives.mix import Mix
from prunekit.plugins.searchers.signals import BLOCK_SIMILARITY, GATE_GRADIENTS, GATE_HESSIAN

SUBSETS = [frozenset({1}), frozenset({2, 5}), frozenset({3, 4, 6}), DENSE]


@pytest.fixture
def quick(quick):
    return {
        "model": quick["model"],
        "budget": 3,
        "ppl": {"data": "demo", "samples": 4, "length": 24},
        "margin": {"data": "demo", "samples": 4},
    }


def plan_of(given):
    registry = load()
    return resolve(parse(given, registry), registry)


def losses(given, tmp_path, subsets):
    with open_session(plan_of(given), tmp_path) as session:
        return session.losses(subsets)


def without(given, *names):
    return {k: v for k, v in given.items() if k not in names}


def test_it_is_the_weighted_sum_of_standardised_losses(quick, tmp_path):
    expected = [0.0] * len(SUBSETS)
    singles = [frozenset({i}) for i in range(8)]
    for name, other, weight in (("ppl", "margin", 1.0), ("margin", "ppl", 0.5)):
        given = {**without(quick, other), "objective": name}
        values = losses(given, tmp_path, singles + SUBSETS)
        median = statistics.median(values[:8])
        deviation = statistics.median(abs(x - median) for x in values[:8])
        for i, value in enumerate(values[8:]):
            expected[i] += weight * (value - median) / deviation
    given = {**quick, "objective": "mix", "mix": {"parts": "ppl:1,margin:0.5"}}
    assert losses(given, tmp_path, SUBSETS) == pytest.approx(expected)


def test_parts_are_measured_into_journals_of_their_own(quick, tmp_path):
    prunekit.search(**quick, objective="mix", searcher="one-shot", workdir=tmp_path, finalists=0)
    assert len(list(tmp_path.glob("journals/*"))) == 2
    alone = prunekit.search(
        **without(quick, "margin"), objective="ppl", searcher="one-shot", workdir=tmp_path
    )
    assert alone.work.measured == 0


def test_the_result_tells_the_loss_of_each_part(quick, tmp_path):
    result = prunekit.search(**quick, objective="mix", searcher="greedy", workdir=tmp_path)
    assert result.unit == "deviations"
    assert set(result.pruned.readings) == {"ppl", "margin"}
    assert result.difference.standard_error > 0
    segments = list(tmp_path.glob("journals/*/*"))
    again = prunekit.search(**quick, objective="mix", searcher="greedy", workdir=tmp_path)
    assert again == result
    assert list(tmp_path.glob("journals/*/*")) == segments


def test_what_the_scales_cost_is_work(quick, tmp_path):
    given = {**quick, "objective": "mix", "searcher": "one-shot"}
    result = prunekit.search(**given, workdir=tmp_path)
    assert result.work.asked == 8
    assert result.work.measured == 8
    assert result.work.block_runs == 2 * (7 + sum(7 - i for i in range(8)))
    assert result.work.block_runs_alone == 2 * 8 * 7
    foretold = estimate(plan_of(given)).cost
    assert foretold.measured == 1 + 8
    assert foretold.block_runs == 2 * 8 + result.work.block_runs
    assert foretold.block_runs_unshared == result.work.block_runs_alone
    protected = estimate(plan_of({**given, "protect_first": 2})).cost
    assert (protected.asked, protected.measured) == (6, 1 + 8)


def test_gradients_are_refused_before_a_model_is_loaded(quick, tmp_path, monkeypatch):
    from prunekit.plugins.commands.search import search

    monkeypatch.setattr(search, "open_session", None)
    given = {**quick, "objective": "mix", "searcher": "cbo", "cbo": {"hessian": "fisher"}}
    with pytest.raises(ConfigError, match="no gradients for each sample"):
        prunekit.search(**given, workdir=tmp_path)
    with pytest.raises(ConfigError, match="no gradients for each sample"):
        estimate(plan_of(given))


def test_parts_on_the_same_samples_err_together(quick, tmp_path):
    """Twice the same thing errs twice as much; other samples err on their own."""
    a, b = frozenset({1}), frozenset({2})
    kl = {"data": "demo", "samples": 4, "length": 24}

    def error(parts, **more):
        given = {**quick, **more, "objective": "mix", "mix": {"parts": parts}}
        names = [part.split(":")[0] for part in parts.split(",")]
        given = without(given, *({"ppl", "margin", "kl"} - set(names)))
        with open_session(plan_of(given), tmp_path) as session:
            return session, session.difference(a, b).standard_error

    _, alone = error("ppl:1")
    session, both = error("ppl:1,kl:1", kl=kl)
    rows = [
        [x / scale.deviation for x in part.differences_without_each(a, b)]
        for part, scale in zip(session.sessions, session.scales, strict=True)
    ]
    joint = [sum(row) for row in zip(*rows, strict=True)]
    assert both == pytest.approx(statistics.stdev(joint) * 3 / math.sqrt(4))
    _, of_kl = error("kl:1", kl=kl)
    assert both != pytest.approx(math.hypot(alone, of_kl), rel=0.01)
    _, apart = error("ppl:1,kl:1", kl={**kl, "seed": 1})
    _, of_kl = error("kl:1", kl={**kl, "seed": 1})
    assert apart == pytest.approx(math.hypot(alone, of_kl))
    _, of_margin = error("margin:1")
    assert error("ppl:1,margin:1")[1] == pytest.approx(math.hypot(alone, of_margin))


def test_a_difference_is_that_of_the_losses(quick, tmp_path):
    with open_session(plan_of({**quick, "objective": "mix"}), tmp_path) as session:
        a, b = session.losses([frozenset({1}), DENSE])
        assert session.difference(frozenset({1}), DENSE).value == pytest.approx(a - b)


def test_one_part_orders_subsets_as_that_part_does(quick, tmp_path):
    given = {**without(quick, "margin"), "searcher": "greedy", "workdir": tmp_path}
    mixed = prunekit.search(**given, objective="mix", mix={"parts": "ppl:2"})
    assert mixed.removed == prunekit.search(**given, objective="ppl").removed


def test_derivatives_of_a_mix(quick, tmp_path):
    with open_session(plan_of({**quick, "objective": "mix"}), tmp_path) as session:
        assert len(session.signal(GATE_HESSIAN)) == 8
        assert len(session.signal(BLOCK_SIMILARITY)) == 9
        with pytest.raises(ConfigError, match="no gradients for each sample"):
            session.signal(GATE_GRADIENTS)


@pytest.mark.parametrize(
    "parts", ["", "ppl", "ppl:x", "ppl:1,ppl:2", ":1", "mix:1", "ppl:nan", "ppl:inf", "ppl:1,,"]
)
def test_parts_that_make_no_sense_are_named(parts):
    with pytest.raises(ConfigError, match="mix.parts: expected objectives and weights"):
        Mix(parts=parts)


def test_an_unknown_part_is_named(quick):
    with pytest.raises(ConfigError, match="no objective is called 'pl'. Did you mean 'ppl'"):
        plan_of({**without(quick, "ppl", "margin"), "objective": "mix", "mix": {"parts": "pl:1"}})


def test_options_of_an_objective_that_is_no_part_are_refused(quick):
    with pytest.raises(ConfigError, match="options of 'margin' were given"):
        plan_of({**quick, "objective": "mix", "mix": {"parts": "ppl:1"}})


def test_a_part_that_is_not_finite_makes_the_mix_infinite():
    from prunekit.engine.session import Scale

    assert Scale.of([math.inf, 1.0, 2.0, 4.0]) == Scale(2.0, 1.0)
    assert Scale.of([1.0, 1.0]).deviation == 1.0
    assert Scale.of([math.inf]) == Scale(0.0, 1.0)
