"""A mix of objectives within bounds."""

import itertools
import math
import statistics

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.estimate import estimate
from prunekit.engine.opening import open_session
from prunekit.engine.plan import resolve
from prunekit.plugins.objectives.mix import Mix

PAIRS = [frozenset(pair) for pair in itertools.combinations(range(8), 2)]
SINGLES = [frozenset({i}) for i in range(8)]


@pytest.fixture
def quick(quick):
    return {
        "model": quick["model"],
        "budget": 2,
        "ppl": {"data": "demo", "samples": 4, "length": 24},
        "margin": {"data": "demo", "samples": 4},
    }


def plan_of(given):
    registry = load()
    return resolve(parse(given, registry), registry)


def losses(given, tmp_path, subsets):
    with open_session(plan_of(given), tmp_path) as session:
        return session.losses(subsets)


def alone(quick, name, tmp_path, subsets):
    given = {k: v for k, v in quick.items() if k in ("model", "budget", name)}
    return losses({**given, "objective": name}, tmp_path, subsets)


def without_bound(quick):
    given = {k: v for k, v in quick.items() if k != "ppl"}
    return {**given, "objective": "mix", "mix": {"parts": "margin:1"}}


def bounded(quick, ratio, parts="margin:1"):
    return {**quick, "objective": "mix", "mix": {"parts": parts, "bound": f"ppl:{ratio}"}}


@pytest.fixture
def ratios(quick, tmp_path):
    """How much higher than that of the dense model the perplexity of each pair is."""
    dense, *others = alone(quick, "ppl", tmp_path, [DENSE, *PAIRS])
    return {pair: math.exp(loss - dense) for pair, loss in zip(PAIRS, others, strict=True)}


@pytest.fixture
def halfway(ratios):
    """A bound that half of the pairs keep."""
    return max(1.0, statistics.median(ratios.values()))


def test_within_the_bound_the_loss_is_that_of_the_mix_and_beyond_it_is_the_excess(
    quick, tmp_path, ratios, halfway
):
    free = losses(without_bound(quick), tmp_path, PAIRS)
    found = losses(bounded(quick, halfway), tmp_path, PAIRS)
    singles = alone(quick, "ppl", tmp_path, SINGLES)
    centre = statistics.median(singles)
    deviation = statistics.median(abs(x - centre) for x in singles)
    for pair, loss, unbounded in zip(PAIRS, found, free, strict=True):
        excess = (math.log(ratios[pair]) - math.log(halfway)) / deviation
        assert loss == pytest.approx(unbounded if excess <= 0 else 1000 + excess)
    assert 0 < sum(loss > 1000 for loss in found) < len(PAIRS)


def test_all_beyond_come_after_all_within_in_the_order_of_their_excess(
    quick, tmp_path, ratios, halfway
):
    found = dict(zip(PAIRS, losses(bounded(quick, halfway), tmp_path, PAIRS), strict=True))
    ranked = sorted(PAIRS, key=found.get)
    beyond = [pair for pair in ranked if ratios[pair] > halfway]
    assert ranked[-len(beyond) :] == beyond
    assert beyond == sorted(beyond, key=ratios.get)
    assert all(map(math.isfinite, found.values()))


def test_a_search_finds_the_best_within_the_bound(quick, tmp_path, ratios, halfway):
    result = prunekit.search(
        **bounded(quick, halfway), searcher="exhaustive", workdir=tmp_path, finalists=0
    )
    margins = dict(zip(PAIRS, alone(quick, "margin", tmp_path, PAIRS), strict=True))
    within = [pair for pair in PAIRS if ratios[pair] <= halfway]
    assert frozenset(result.removed) == min(within, key=margins.get)
    assert set(result.pruned.readings) == {"margin", "ppl"}
    assert result.difference.standard_error > 0


def test_a_choice_that_breaks_the_bound_is_named_with_both_numbers(quick, tmp_path):
    """No pruned model keeps a divergence of 0 from the dense one."""
    given = {k: v for k, v in quick.items() if k != "ppl"}
    given |= {"kl": quick["ppl"], "mix": {"parts": "margin:1", "bound": "kl:1"}}
    given |= {"objective": "mix", "searcher": "exhaustive", "workdir": tmp_path}
    kl = {k: given[k] for k in ("model", "budget", "kl")} | {"objective": "kl"}
    divergences = dict(zip(PAIRS, losses(kl, tmp_path, PAIRS), strict=True))
    least = min(PAIRS, key=divergences.get)
    found = f"{math.exp(divergences[least]):.4g}"
    with pytest.warns(Remark, match=f"the bound kl:1 is broken: .* is {found}, and at most 1 was"):
        result = prunekit.search(**given)
    assert frozenset(result.removed) == least
    assert result.pruned.loss > 1000
    assert result.difference.standard_error is None


def test_the_parts_of_a_bound_are_weighed_too_if_they_have_a_weight(quick, tmp_path):
    free = losses(
        {**quick, "objective": "mix", "mix": {"parts": "margin:1,ppl:2"}}, tmp_path, PAIRS
    )
    assert losses(bounded(quick, 1e9, "margin:1,ppl:2"), tmp_path, PAIRS) == free


def test_the_dense_model_keeps_every_bound(quick, tmp_path):
    with open_session(plan_of(bounded(quick, 1)), tmp_path) as session:
        assert session.losses([DENSE])[0] < 1000
        assert session.broken_bounds(DENSE) == []


def test_what_a_bound_costs_is_foretold(quick, tmp_path):
    given = {**bounded(quick, 1e9), "searcher": "one-shot"}
    foretold = estimate(plan_of(given)).cost
    result = prunekit.search(**given, workdir=tmp_path)
    assert foretold.block_runs == 2 * 8 + result.work.block_runs
    assert foretold.block_runs_unshared == result.work.block_runs_alone


@pytest.mark.parametrize(
    "bound", ["", "ppl", "ppl:x", "ppl:0.9", "ppl:inf", "mix:2", "ppl:2,ppl:3"]
)
def test_bounds_that_make_no_sense_are_named(bound):
    with pytest.raises(ConfigError, match="mix.bound: expected objectives and ratios from 1 on"):
        Mix(bound=bound)


def test_an_unknown_objective_of_a_bound_is_named_by_its_option(quick):
    given = {**quick, "objective": "mix", "mix": {"parts": "margin:1", "bound": "pl:2"}}
    with pytest.raises(ConfigError, match="no objective is called 'pl'") as error:
        plan_of({k: v for k, v in given.items() if k != "ppl"})
    assert error.value.key == ("mix", "bound")
