"""Budgets as users write them: numbers of blocks, and shares of them."""

from dataclasses import replace

import pytest

from prunekit.core import ConfigError
from prunekit.engine.config import parse
from prunekit.engine.plan import _budget, resolve


def planned(tiny_model, registry, n_blocks=10, **given):
    model = str(tiny_model(n_blocks=n_blocks))
    return resolve(parse({"model": model, **given}, registry), registry)


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        (3, 3),
        ("3", 3),
        ("30%", 3),
        ("39.9%", 3),
        ("1%", 1),
        (" 90% ", 9),
        (None, 2),
    ],
)
def test_a_share_is_rounded_down_to_at_least_one_block(tiny_model, registry, given, budget):
    plan = planned(tiny_model, registry, **({} if given is None else {"budget": given}))
    assert plan.problem.budget == budget
    assert plan.config.as_dict()["budget"] == budget


def test_a_share_and_its_number_are_the_same_search(tiny_model, registry):
    names = {planned(tiny_model, registry, budget=given).name for given in (3, "3", "30%")}
    assert len(names) == 1


@pytest.mark.parametrize("given", ["many", "", "-1", "3.5", 3.5, True, [3], "100%", "-5%", "%"])
def test_other_budgets_are_refused(tiny_model, registry, given):
    with pytest.raises(ConfigError, match="budget: expected a number of blocks, as 7") as caught:
        planned(tiny_model, registry, budget=given)
    assert caught.value.key == ("budget",)


def test_a_share_comes_in_whole_periods(tiny_model, registry):
    plan = planned(tiny_model, registry)
    pair = replace(plan.config.settings, keep_pattern=True, budget="59%")
    assert _budget(pair, n_blocks=10, period=2) == 4
    assert _budget(replace(pair, budget="9%"), n_blocks=10, period=2) == 2
