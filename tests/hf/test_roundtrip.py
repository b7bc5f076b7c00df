"""A refusal to export says whose fault it is: the choice of blocks, or the model's as it is."""

from dataclasses import replace

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, LlamaForCausalLM

import prunekit
from prunekit.core.errors import CheckpointError
from prunekit.core.problem import DENSE
from prunekit.core.spec import Spec
from prunekit.hf.loading import load_adapter
from prunekit.hf.roundtrip import Expectation, check_model, sharing

BLOCKS = 8


@pytest.fixture
def failing(monkeypatch):
    """Llama's forward fails with a cache, or predicts otherwise, where `when(model)` says so."""

    def make(when, act):
        forward = LlamaForCausalLM.forward

        def other(self, *args, past_key_values=None, **kwargs):
            output = forward(self, *args, past_key_values=past_key_values, **kwargs)
            return act(output) if past_key_values is not None and when(self) else output

        monkeypatch.setattr(LlamaForCausalLM, "forward", other)

    return make


def fail(output):
    raise ValueError("no cache for this")


def predict_otherwise(output):
    output.logits = output.logits + torch.arange(output.logits.shape[-1])
    return output


def always(model):
    return True


def once_pruned(model):
    return model.config.num_hidden_layers < BLOCKS


ACTS = [(fail, "it does not run: ValueError: no cache for this"), (predict_otherwise, "logits dif")]


@pytest.mark.parametrize(("act", "reason"), ACTS)
def test_the_dense_model_is_blamed_where_it_fails_alike(failing, tiny_model, tmp_path, act, reason):
    failing(always, act)
    with pytest.raises(CheckpointError, match="itself, with all its blocks, .*" + reason) as caught:
        prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "out")
    assert "without blocks" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("act", "reason"), ACTS)
def test_the_choice_is_blamed_where_the_dense_model_is_right(
    failing, tiny_model, tmp_path, act, reason
):
    failing(once_pruned, act)
    with pytest.raises(CheckpointError, match="without blocks 1 cannot be .*" + reason) as caught:
        prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "out")
    assert "Other blocks may work" in str(caught.value)


def test_a_family_whose_cache_is_wrong_in_this_transformers_is_blamed_itself(
    demo_tokenizer, tmp_path
):
    config = AutoConfig.for_model(
        "deepseek_v32",
        vocab_size=len(demo_tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
        first_k_dense_replace=6,
        kv_lora_rank=8,
        q_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
        index_n_heads=2,
        index_head_dim=8,
        index_topk=8,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    folder = tmp_path / "model"
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    demo_tokenizer.save_pretrained(folder)
    with pytest.raises(CheckpointError, match="itself, with all its blocks, does not generate"):
        prunekit.export(str(folder), remove=[1, 4], to=tmp_path / "out", device="cpu")


def test_the_proof_holds_the_largest_differences(tiny_model):
    removed = frozenset({1})
    adapter = load_adapter(Spec(str(tiny_model()), device="cpu", dtype="float32"))
    expected = Expectation.of(adapter, removed)
    with adapter.bypassing(DENSE) as dense:
        pass
    model = sharing(adapter, dense).without(removed)
    exact = check_model(model, expected)
    assert (exact.transformers, exact.dtype) == (transformers.__version__, "float32")
    assert (exact.tokens, exact.difference) == (24, 0.0)
    assert 0 <= exact.cache_difference < 1e-4
    logits = expected.logits.clone()
    logits[0, 7, 11] += 4e-7
    moved = check_model(model, replace(expected, logits=logits))
    assert moved.difference == pytest.approx(4e-7, abs=2e-7)
    assert moved.difference > 0
