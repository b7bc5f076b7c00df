"""Which models have a pattern of blocks, and which removals keep it."""

import itertools
import math

import pytest
from transformers import AutoConfig

from prunekit.hf.layer_fields import without_blocks
from prunekit.hf.patterns import broken_pattern, kinds_of_blocks, pattern_of


def config_of(kind, n_blocks, **more):
    return AutoConfig.for_model(kind, num_hidden_layers=n_blocks, **more)


@pytest.mark.parametrize(
    ("kind", "more", "fields", "period"),
    [
        ("gemma2", {}, ["layer_types"], 2),
        ("gemma3_text", {}, ["layer_types"], 6),
        ("gpt_oss", {}, ["layer_types"], 2),
        ("cohere2", {}, ["layer_types"], 4),
        ("qwen3_next", {}, ["layer_types"], 4),
        ("smollm3", {"no_rope_layer_interval": 3}, ["no_rope_layers"], 3),
        ("llama4_text", {}, ["layer_types", "no_rope_layers"], 4),
        (
            "llama4_text",
            {"interleave_moe_layer_step": 3},
            ["layer_types", "moe_layers", "no_rope_layers"],
            12,
        ),
    ],
)
def test_kinds_that_repeat_are_a_pattern(kind, more, fields, period):
    pattern = pattern_of(config_of(kind, 24, **more))
    assert (sorted(pattern.kinds), pattern.period) == (fields, period)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("llama", {}),
        ("qwen3", {}),
        ("mixtral", {}),
        ("gpt2", {}),
        ("qwen2", {"use_sliding_window": True, "max_window_layers": 5}),
        ("deepseek_v3", {"first_k_dense_replace": 3}),
        ("jamba", {}),  # says its period and offset, which engines read
    ],
)
def test_blocks_that_are_alike_or_follow_no_pattern_have_none(kind, more):
    assert pattern_of(config_of(kind, 24, **more)) is None


def test_the_text_part_of_a_larger_model_has_the_pattern():
    config = AutoConfig.for_model("gemma3", text_config={"num_hidden_layers": 12})
    assert pattern_of(config).period == 6


@pytest.mark.parametrize(
    ("kind", "n_blocks", "more", "field"),
    [
        ("gemma2", 8, {}, "layer_types"),
        ("gemma3_text", 12, {}, "layer_types"),
        ("cohere2", 10, {}, "layer_types"),
        ("smollm3", 9, {"no_rope_layer_interval": 3}, "no_rope_layers"),
        ("llama4_text", 8, {"interleave_moe_layer_step": 2}, "moe_layers"),
    ],
)
def test_a_pattern_is_kept_where_the_number_of_blocks_alone_tells_it(kind, n_blocks, more, field):
    """By transformers itself, which computes the kinds of a model that does not list them."""
    config = config_of(kind, n_blocks, **more)
    pattern = pattern_of(config)
    for k in (1, 2, pattern.period, n_blocks - 2):
        computed = getattr(config_of(kind, n_blocks - k, **more), field)
        for removed in map(frozenset, itertools.combinations(range(n_blocks), k)):
            listed = getattr(without_blocks(config, removed), field)
            assert (field in pattern.broken_by(removed)) == (listed != computed)


def test_any_run_of_a_whole_period_keeps_every_field():
    config = config_of("llama4_text", 24, interleave_moe_layer_step=3)
    pattern = pattern_of(config)
    assert pattern.period == math.lcm(4, 3)
    for first in range(24 - 12 + 1):
        assert pattern.broken_by(frozenset(range(first, first + 12))) == []
    assert pattern.broken_by(frozenset(range(4))) == ["moe_layers"]


@pytest.mark.parametrize(
    ("kind", "n_blocks", "period"),
    [("gemma3_text", 10, 6), ("llama4_text", 6, 4), ("gemma4_text", 32, 6), ("gemma2", 3, 2)],
)
def test_a_model_too_short_or_irregular_to_show_it_has_the_pattern_of_its_family(
    kind, n_blocks, period
):
    config = config_of(kind, n_blocks)
    pattern = pattern_of(config)
    assert pattern.period == period
    assert pattern.broken_by(frozenset({0}))
    assert broken_pattern(config, frozenset({0}))


def test_a_model_that_lost_blocks_before_still_has_the_pattern_of_its_family():
    once = without_blocks(config_of("gemma3_text", 12), frozenset({1, 3}))
    assert pattern_of(once).period == 6
    assert "repeat every 6 blocks" in broken_pattern(once, frozenset({0}))
    twice = without_blocks(config_of("gemma3_text", 12), frozenset({1, 3, 0}))
    assert "repeat every 6 blocks" in broken_pattern(twice, frozenset({7}))


def test_what_follows_the_pattern_again_is_no_longer_broken():
    """Blocks 1 and 3 of the first period, and four more that bring the others to their places."""
    once = without_blocks(config_of("gemma3_text", 12), frozenset({1, 3}))
    assert broken_pattern(once, frozenset({0, 1, 2, 3})) is None


def test_blocks_that_differ_by_no_pattern_are_named():
    config = config_of("qwen2", 24, use_sliding_window=True, max_window_layers=5)
    assert pattern_of(config) is None
    assert kinds_of_blocks(config) == ["layer_types"]
    assert kinds_of_blocks(config_of("llama", 8)) == []
