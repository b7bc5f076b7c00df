"""The fields of `config.json`: the source's own, in its words, but for what speaks of blocks."""

import itertools
import json

import pytest

from prunekit.core import UnfitModel
from prunekit.hf.blocks import text_config
from prunekit.hf.layer_fields import without_blocks
from prunekit.hf.model_config import pruned_fields, read_as

N = 6
SUBSETS = [frozenset(s) for k in (1, 4) for s in itertools.combinations(range(N), k)]
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "vocab_size": 64}


def config_of(fields):
    from transformers import CONFIG_MAPPING

    return read_as(CONFIG_MAPPING[fields["model_type"]], fields)


def pruned(fields, removed):
    return pruned_fields(fields, config_of(fields), frozenset(removed))


WORDED = {
    "what others put there": {
        "zebra": {"b": [1, None], "a": 1e-6},
        "model_type": "llama",
        "num_hidden_layers": N,
        "rope_theta": 1e5,
        "rope_scaling": {"type": "linear", "factor": 2.0},
        "torch_dtype": "float16",
        "_name_or_path": "somebody/somewhere",
        "transformers_version": "4.31.0",
        "pretraining_tp": 1,
    },
    "a family's own spelling": {"model_type": "gpt2", "n_layer": N, "n_embd": 32, "n_head": 4},
    "the common spelling": {"model_type": "gpt2", "num_hidden_layers": N},
    "a list given at length": {
        "model_type": "gemma3_text",
        "num_hidden_layers": N,
        "layer_types": ["sliding_attention", "full_attention"] * 3,
        **SMALL,
    },
    "a cadence of before there were lists": {
        "model_type": "gemma3_text",
        "num_hidden_layers": N,
        "sliding_window_pattern": 3,
        **SMALL,
    },
    "a number of first blocks": {
        "model_type": "qwen2",
        "num_hidden_layers": N,
        "use_sliding_window": True,
        "sliding_window": 8,
        "max_window_layers": 2,
        **SMALL,
    },
    "words of old for kinds of blocks": {
        "model_type": "nemotron_h",
        "hybrid_override_pattern": "M-M*ME",
        "num_hidden_layers": N,
        "hidden_size": 32,
    },
    "a part": {
        "model_type": "llava",
        "text_config": {"model_type": "llama", "num_hidden_layers": N, **SMALL},
        "vision_config": {"model_type": "clip_vision_model", "num_hidden_layers": N},
    },
    "a nested one written flat": {
        "model_type": "qwen2_vl",
        "num_hidden_layers": N,
        "vision_config": {"depth": N},
        **SMALL,
    },
    "the same thing in two places": {
        "model_type": "llava",
        "num_hidden_layers": N,
        "text_config": {"model_type": "llama", "num_hidden_layers": N, **SMALL},
    },
    "numbers that JSON has no word for": {
        "model_type": "mamba2",
        "num_hidden_layers": N,
        "time_step_limit": [0.0, {"__float__": "Infinity"}],
    },
}
OF_BLOCKS = {
    "num_hidden_layers",
    "n_layer",
    "layer_types",
    "max_window_layers",
    "hybrid_override_pattern",
    "text_config",
}
ADDED = {
    "a cadence of before there were lists": {"layer_types"},
    "a number of first blocks": {"layer_types"},
    "words of old for kinds of blocks": {"layers_block_type"},
}
"""What a file must say that it need not say of the dense model, for some of the subsets."""


@pytest.mark.parametrize("name", WORDED)
def test_it_reads_as_the_shortened_configuration(name):
    """The oracle shortens the configuration that transformers made of the file."""
    fields = WORDED[name]
    config = config_of(fields)
    for removed in SUBSETS:
        read, _ = text_config(config_of(pruned(fields, removed)))
        wanted, _ = text_config(without_blocks(config, removed))
        strip = {"_name_or_path": None, "transformers_version": None}
        assert {**read.to_dict(), **strip} == {**wanted.to_dict(), **strip}


@pytest.mark.parametrize("name", WORDED)
def test_nothing_else_changes_not_even_the_order(name):
    fields = WORDED[name]
    before = json.dumps(fields)
    for removed in SUBSETS:
        made = pruned(fields, removed)
        assert json.dumps(fields) == before
        assert list(made)[: len(fields)] == list(fields)
        assert set(made) - set(fields) <= ADDED.get(name, set())
        for key in set(fields) - OF_BLOCKS:
            assert made[key] == fields[key]


def test_every_place_and_every_spelling_follows():
    made = pruned(WORDED["the same thing in two places"], {1, 4})
    assert (made["num_hidden_layers"], made["text_config"]["num_hidden_layers"]) == (4, 4)
    assert pruned(WORDED["the common spelling"], {1, 4})["num_hidden_layers"] == 4
    made = pruned(WORDED["words of old for kinds of blocks"], {1, 4})
    assert (made["hybrid_override_pattern"], made["num_hidden_layers"]) == ("MM*E", 4)


def test_a_key_is_added_only_where_the_default_would_be_another():
    cadence = WORDED["a cadence of before there were lists"]  # sliding, sliding, full, and again
    assert "layer_types" not in pruned(cadence, {3, 4, 5})
    assert pruned(cadence, {0})["layer_types"] == [
        "sliding_attention",
        "full_attention",
        "sliding_attention",
        "sliding_attention",
        "full_attention",
    ]


def test_a_file_that_cannot_say_it_is_refused(monkeypatch):
    """As in families that derive a list from the count, whatever the file says."""
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING["gemma3_text"]
    derive = kind.__post_init__

    def stubborn(self, **more):
        derive(self, **more)
        if self.num_hidden_layers < N:
            self.layer_types = ["full_attention"] * self.num_hidden_layers

    fields = WORDED["a cadence of before there were lists"]
    config = config_of(fields)
    wanted = without_blocks(config, frozenset({0}))
    monkeypatch.setattr("prunekit.hf.model_config.without_blocks", lambda *_: wanted)
    monkeypatch.setattr(kind, "__post_init__", stubborn)
    with pytest.raises(UnfitModel, match="`layer_types` would not read as"):
        pruned_fields(fields, config, frozenset({0}))
