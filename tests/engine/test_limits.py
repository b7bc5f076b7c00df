"""Budgets as parameters, memory and speed: the fewest blocks that suffice, whichever go."""

import itertools

import pytest

from prunekit.core import ConfigError
from prunekit.engine.config import parse, parse_file
from prunekit.engine.limits import LIMITS, limit_in
from prunekit.engine.plan import resolve
from prunekit.engine.weights import Weights
from prunekit.hf.parameters import ParameterCounts

BLOCK, VOCABULARY = 9_280, 2048 * 32  # as counted by hand in tests/hf/test_parameters.py
TOTAL = 10 * BLOCK + 32 + 2 * VOCABULARY
UNEQUAL = Weights(ParameterCounts(200, (5, 40, 10, 30, 0), (5, 40, 10, 30, 20), 50, False), "", 2)


def planned(tiny_model, registry, **given):
    model = str(tiny_model(n_blocks=10))
    return resolve(parse({"model": model, **given}, registry), registry)


def budget_of(weights, removable=range(5), period=1, **given):
    settings = {**dict.fromkeys(LIMITS), **given}
    return limit_in(settings, weights, list(removable)).budget(5, period)


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ({"shrink": "4.1%"}, 1),  # a block has 9,280 of 223,904 parameters: 4.14 %
        ({"shrink": "4.2%"}, 2),
        ({"shrink": " 20% "}, 5),
        ({"max_parameters": TOTAL - 3 * BLOCK}, 3),
        ({"max_parameters": str(TOTAL - 3 * BLOCK - 1)}, 4),
        ({"max_parameters": "200K"}, 3),
        ({"max_memory": 4 * (TOTAL - 2 * BLOCK)}, 2),  # it is stored in float32
        ({"max_memory": 4 * (TOTAL - 2 * BLOCK) - 1}, 3),
        ({"max_memory": "0.8MB"}, 3),
        ({"max_memory": "0.4MB", "dtype": "bfloat16"}, 3),
        ({"min_speedup": 1.2}, 3),  # a token reads 158,368 parameters; 3 blocks are 17.6 % of them
        ({"min_speedup": 1.06}, 1),
    ],
)
def test_the_smallest_that_holds(tiny_model, registry, given, budget):
    assert planned(tiny_model, registry, **given).problem.budget == budget


def test_a_limit_and_its_number_are_the_same_search(tiny_model, registry):
    given = ({"budget": 3}, {"max_parameters": "200K"}, {"max_memory": "0.8MB"}, {"shrink": "12%"})
    plans = [planned(tiny_model, registry, **one) for one in given]
    assert len({plan.name for plan in plans}) == 1
    assert len({str(plan.config.as_dict()) for plan in plans}) == 1


@pytest.mark.parametrize("needed", range(5, 90, 5))
def test_of_blocks_that_differ_any_choice_suffices(needed):
    sizes = UNEQUAL.counts.of_blocks
    try:
        budget = budget_of(UNEQUAL, max_parameters=str(200 - needed))
    except ConfigError:
        budget = 5
    assert all(sum(c) >= needed for c in itertools.combinations(sizes, budget) if budget < 5)
    assert any(sum(c) < needed for c in itertools.combinations(sizes, budget - 1))


def test_protected_blocks_do_not_count():
    assert budget_of(UNEQUAL, max_parameters="180") == 4
    assert budget_of(UNEQUAL, removable=[1, 2, 3], max_parameters="180") == 2


def test_it_comes_in_whole_periods():
    assert budget_of(UNEQUAL, [1, 2, 3], max_parameters="190") == 1
    assert budget_of(UNEQUAL, [1, 2, 3], period=2, max_parameters="190") == 2


def test_for_speed_a_shared_block_counts_although_its_parameters_stay():
    """A token reads 155 parameters; 1.1 times the speed needs 14.1 less, any two blocks are 15."""
    assert budget_of(UNEQUAL, min_speedup=1.03) == 1
    assert budget_of(UNEQUAL, min_speedup=1.1) == 2
    assert budget_of(UNEQUAL, [4], min_speedup=1.1) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shrink": "90%"}, "shrink 90%: the model is 37.3% smaller without 9 of its 10 blocks, "),
        ({"max_parameters": "1K"}, "the model has 140.4K parameters without 9 of its 10 blocks"),
        ({"max_memory": "1MiB"}, "max_memory 1MiB: the weights take 895.7 KB already; take a"),
        ({"max_memory": "9KB"}, "the weights take 561.6 KB without 9 of its 10 blocks"),
        ({"min_speedup": 3}, "min_speedup 3.0: decoding is 2.11 times as fast without 9 of"),
        ({"min_speedup": 1}, "min_speedup 1.0: decoding is 1 times as fast already"),
        ({"max_parameters": "1K", "protect": "2"}, "or protect fewer blocks"),
        ({"shrink": "20"}, "shrink: expected a share of the parameters, as 20%, got '20'"),
        ({"max_parameters": "many"}, "max_parameters: expected a number, as 110M"),
        ({"max_memory": True}, "max_memory: expected a size"),
        ({"min_speedup": 0.5}, "min_speedup: 0.5 is outside 1.."),
        ({"shrink": "9%", "budget": 3}, "budget and shrink were given, and each says how many"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(tiny_model, registry, given, message):
    with pytest.raises(ConfigError) as caught:
        planned(tiny_model, registry, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.key[0] in given


def test_what_is_possible_at_most_is_possible(tiny_model, registry):
    for given in ({"shrink": "37.3%"}, {"max_parameters": "140.4K"}, {"min_speedup": 2.11}):
        assert planned(tiny_model, registry, **given).problem.budget == 9


def test_experts_are_not_all_read():
    counts = ParameterCounts(200, (5,) * 5, (5,) * 5, 50, has_experts=True)
    assert budget_of(Weights(counts, "", 2), shrink="5%") == 2
    with pytest.raises(ConfigError, match="reads only some of this model's experts"):
        budget_of(Weights(counts, "", 2), min_speedup=1.1)


def test_a_flag_replaces_the_budget_of_a_file_in_whatever_unit(tmp_path, registry):
    (tmp_path / "a.yaml").write_text("shrink: 20%\n")
    settings = parse_file(tmp_path / "a.yaml", {"budget": 3}, registry).settings
    assert (settings.budget, settings.shrink) == ("3", None)
    (tmp_path / "a.yaml").write_text("seed: 1\nmax_memory: 2\nbudget: 3\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:2: budget and max_memory were given"):
        parse_file(tmp_path / "a.yaml", {}, registry)


def test_what_goes_at_least_with_blocks_that_differ():
    some = UNEQUAL.removal([1, 2, 3], 2)
    assert (some.parameters, some.of_parameters, some.bytes, some.at_least) == (40, 200, 80, True)
    whole = UNEQUAL.removal([1, 2, 3], 3)
    assert (whole.parameters, whole.at_least) == (80, False)
