"""Every kind of per-layer field, against what families themselves make of their configuration."""

import itertools
import math

import pytest
from transformers import AutoConfig

from prunekit.core import CheckpointError, UnfitModel
from prunekit.hf.blocks import block_count
from prunekit.hf.layer_fields import without_blocks

N = 6
SUBSETS = [frozenset(s) for k in range(1, N) for s in itertools.combinations(range(N), k)]


def kept(values, removed):
    return [value for i, value in enumerate(values) if i not in removed]


def config_of(kind, **settings):
    return AutoConfig.for_model(kind, **{"num_hidden_layers": N, **settings})


def sparse(config):
    """Which blocks of a Qwen mixture of experts are one, as its modelling code says."""
    return [
        i not in config.mlp_only_layers and (i + 1) % config.decoder_sparse_step == 0
        for i in range(config.num_hidden_layers)
    ]


def ernie_experts(config):
    return [
        (i + 1) % config.moe_layer_interval == 0
        and config.moe_layer_start_index <= i <= config.moe_layer_end_index
        for i in range(config.num_hidden_layers)
    ]


def jamba(config):
    return list(zip(config.layers_block_type, config.layers_num_experts, strict=True))


WORDED = {
    "a list": (
        config_of("qwen3", layer_types=["full_attention", "sliding_attention"] * 3),
        lambda config: config.layer_types,
    ),
    "a list of blocks": (
        config_of("bamba", attn_layer_indices=[1, 4], mamba_n_heads=128),
        lambda config: config.layers_block_type,
    ),
    "a first few": (
        config_of("deepseek_v3", first_k_dense_replace=3),
        lambda config: [i < config.first_k_dense_replace for i in range(config.num_hidden_layers)],
    ),
    "a step and exceptions": (
        config_of("qwen2_moe", decoder_sparse_step=2, mlp_only_layers=[3]),
        sparse,
    ),
    "a repeated pattern": (config_of("recurrent_gemma"), lambda config: config.layers_block_type),
    "patterns with repetitions": (
        config_of("gpt_neo", attention_types=[[["global", "local"], 2], [["local"], 2]]),
        lambda config: config.attention_layers,
    ),
    "a table by block": (
        config_of("gemma4_text", layer_types=["sliding_attention", "full_attention"] * 3),
        lambda config: [
            config.per_layer_config[i].head_dim for i in range(config.num_hidden_layers)
        ],
    ),
    "places from a cadence": (
        config_of("llama4_text", interleave_moe_layer_step=2, no_rope_layer_interval=3),
        lambda config: [
            (i in config.moe_layers, config.no_rope_layers[i])
            for i in range(config.num_hidden_layers)
        ],
    ),
}
CADENCES = {
    "a period and an offset": (
        config_of(
            "jamba",
            attn_layer_period=2,
            attn_layer_offset=1,
            expert_layer_period=3,
            expert_layer_offset=0,
        ),
        jamba,
    ),
    "an interval within bounds": (
        config_of("ernie4_5_moe", moe_layer_start_index=1, moe_layer_interval=2),
        ernie_experts,
    ),
}


@pytest.mark.parametrize("name", WORDED)
def test_the_blocks_that_stay_keep_their_kind(name):
    config, kinds = WORDED[name]
    for removed in SUBSETS:
        if name == "a table by block" and N - 1 in removed:
            continue  # this family's last block must be of one kind, and becomes it
        shorter = without_blocks(config, removed)
        assert kinds(shorter) == kept(kinds(config), removed)
        assert block_count(shorter) == N - len(removed)


@pytest.mark.parametrize("name", CADENCES)
def test_a_cadence_is_kept_or_refused(name):
    config, kinds = CADENCES[name]
    refusals = []
    for removed in SUBSETS:
        try:
            shorter = without_blocks(config, removed)
        except UnfitModel as error:
            refusals.append(str(error))
        else:
            assert kinds(shorter) == kept(kinds(config), removed)
    assert 0 < len(refusals) < len(SUBSETS)
    assert all("not at equal distances" in reason for reason in refusals)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("llama", {"num_hidden_layers": N}),
        ("gpt2", {"n_layer": N}),
        ("gpt_neo", {"num_layers": N, "attention_types": [[["global"], N]]}),
        ("xglm", {"num_layers": N}),
        ("bart", {"decoder_layers": N}),
        ("longcat_flash", {"num_layers": N}),
        ("gemma3", {"text_config": {"num_hidden_layers": N}}),
        ("llava", {"text_config": {"model_type": "llama", "num_hidden_layers": N}}),
    ],
)
def test_blocks_are_counted_however_a_family_spells_it(kind, settings):
    config = AutoConfig.for_model(kind, **settings)
    assert block_count(config) == N
    assert block_count(without_blocks(config, frozenset({1, 3}))) == N - 2
    assert block_count(config) == N, "the original stays as it is"


def test_other_parts_of_a_nested_configuration_stay():
    config = AutoConfig.for_model(
        "gemma3",
        text_config={"num_hidden_layers": N},
        vision_config={"num_hidden_layers": N, "model_type": "siglip_vision_model"},
    )
    shorter = without_blocks(config, frozenset({0, 1}))
    assert shorter.vision_config.num_hidden_layers == N
    assert len(shorter.text_config.layer_types) == N - 2


def test_a_scale_by_depth_stays_what_it_was():
    config = config_of("minicpm3", scale_depth=1.4)
    shorter = without_blocks(config, frozenset({2, 3}))
    assert shorter.scale_depth / math.sqrt(4) == pytest.approx(1.4 / math.sqrt(6))


def test_a_block_that_computes_with_its_number_must_keep_it():
    config = AutoConfig.for_model("gpt2", n_layer=N, scale_attn_by_inverse_layer_idx=True)
    assert block_count(without_blocks(config, frozenset({4, 5}))) == 4
    with pytest.raises(UnfitModel, match="only the last can go"):
        without_blocks(config, frozenset({2}))


def test_a_list_that_no_line_names_is_shortened_too():
    config = config_of("llama")
    config.head_counts = [1, 2, 3, 4, 5, 6]
    config.four_things = [1, 2, 3, 4]
    shorter = without_blocks(config, frozenset({0, 4}))
    assert shorter.head_counts == [2, 3, 4, 6]
    assert shorter.four_things == [1, 2, 3, 4]


def test_a_block_that_takes_from_another_needs_it():
    config = config_of("llama")
    config.kv_source_layers = [0, 0, 2, 2, 4, 4]
    assert without_blocks(config, frozenset({1, 2, 3})).kv_source_layers == [0, 1, 1]
    with pytest.raises(UnfitModel, match="takes from one that is removed"):
        without_blocks(config, frozenset({2}))


def test_counts_of_last_blocks_and_numbers_from_one():
    config = config_of("llama")
    config.num_kv_shared_layers, config.ple_layer_ids = 3, [1, 4, 6]
    shorter = without_blocks(config, frozenset({0, 4}))
    assert (shorter.num_kv_shared_layers, shorter.ple_layer_ids) == (2, [3, 4])


@pytest.mark.parametrize("count", [0, -1, 10**9])
def test_a_number_of_blocks_that_cannot_be_is_refused(count):
    config = AutoConfig.for_model("llama", num_hidden_layers=count)
    with pytest.raises(CheckpointError, match=f"num_hidden_layers {count:,}; expected 1 to"):
        block_count(config)
