"""Parameters, counted without weights: by hand, and as the loaded model has them."""

from dataclasses import replace

import pytest

from prunekit.core.errors import CheckpointError
from prunekit.core.spec import Spec
from prunekit.hf.loading import load_adapter
from prunekit.hf.parameters import ParameterCounts, count_parameters, own_parameters

ATTENTION = 32 * 32 + 2 * 32 * 16 + 32 * 32  # 4 heads of 8, of which 2 have keys and values
BLOCK = ATTENTION + 3 * 32 * 64 + 2 * 32
VOCABULARY = 2048


def config_of(folder):
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder)


def test_those_of_a_small_llama_by_hand(tiny_model):
    found = count_parameters(config_of(tiny_model("llama3", n_blocks=8)))
    assert found.of_blocks == found.read_by_blocks == (BLOCK,) * 8
    assert found.total == 8 * BLOCK + 32 + 2 * VOCABULARY * 32
    assert found.read_besides == 32 + VOCABULARY * 32  # the norm and the head, but no embedding
    assert found.read == 8 * BLOCK + 32 + VOCABULARY * 32
    assert not found.has_experts


def test_an_embedding_that_is_the_head_is_read(tiny_model):
    found = count_parameters(config_of(tiny_model("llama3", n_blocks=8, tie_word_embeddings=True)))
    assert found.total == 8 * BLOCK + 32 + VOCABULARY * 32
    assert found.read == found.total


def test_decoding_takes_the_time_of_what_it_reads():
    """Without blocks 1 and 2, 75 of 100 are left to read."""
    found = ParameterCounts(200, (5,) * 5, (10, 20, 5, 5, 10), 50, has_experts=False)
    assert found.speedup([]) == 1
    assert found.speedup([1, 2]) == pytest.approx(100 / 75)
    assert replace(found, has_experts=True).speedup([1, 2]) is None


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_as_the_loaded_model_counts_them(tiny_model, proven_once, family):
    folder = tiny_model(family)
    facts = load_adapter(Spec(str(folder))).facts
    found = count_parameters(config_of(folder))
    assert (found.total, found.of_blocks) == (facts.parameters, facts.block_parameters)


def test_what_blocks_share_stays():
    import torch

    one, two, three = (torch.nn.Linear(2, 3) for _ in range(3))
    three.weight = one.weight
    assert own_parameters([one, two, three]) == (3, 9, 3)


def test_a_model_that_cannot_be_built_is_refused(tiny_model):
    config = config_of(tiny_model("llama3"))
    config.hidden_size = -1
    with pytest.raises(CheckpointError, match="small: its parameters cannot be counted: "):
        count_parameters(config, name="small")
