"""Logits of a 16-bit model in float32."""

import pytest
import torch

from prunekit.core import IGNORE
from prunekit.core.problem import DENSE
from prunekit.core.spec import Spec
from prunekit.hf import linear_head, probe
from prunekit.hf.loading import load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.searchers.signals.gates import gate_gradients, gate_hessian


@pytest.fixture(params=["llama3", "qwen3", "gpt2", "gemma2"])
def adapter(request, tiny_model, registry):
    """Of a family with its own head, and of families that run their own code behind the blocks."""
    more = {"final_logit_softcapping": 3.0} if request.param == "gemma2" else {}
    model = str(tiny_model(request.param, n_blocks=2, **more))
    return load_adapter(Spec(model, device="cpu", dtype="bfloat16"), registry)


def by_hand(adapter, batch):
    """Logits in float64 of what the model itself hands to its head in bfloat16."""
    head, seen = adapter.model.get_output_embeddings(), []
    hook = head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    adapter.reference(batch, DENSE)
    hook.remove()
    logits = seen[0].double() @ head.weight.double().T
    cap = getattr(adapter.model.config, "final_logit_softcapping", None)
    return cap * (logits / cap).tanh() if cap else logits


def logits(adapter, batch):
    state = adapter.enter(batch)
    for index in range(adapter.facts.n_blocks):
        state = adapter.block(index, state)
    return torch.cat(list(adapter.output(state).logits(batch.attention_mask.bool())))


@torch.no_grad()
def test_logits_are_not_rounded_to_the_dtype_of_the_weights(adapter, monkeypatch):
    batch = probe(24)
    expected = by_hand(adapter, batch)[0]
    rounded = adapter.reference(batch, DENSE)[0]
    for words in (100, 4096):
        monkeypatch.setattr(linear_head, "WORDS_AT_ONCE", words)
        found = logits(adapter, batch)
        assert found.dtype is torch.float32
        largest = expected.abs().max()
        assert (found - expected).abs().max() < 2e-5 * largest
        assert (rounded - expected).abs().max() > 1e-3 * largest


@torch.no_grad()
def test_the_model_itself_stays_as_it_was(adapter):
    batch = probe(9)
    before = adapter.reference(batch, DENSE)
    weight = adapter.model.get_output_embeddings().weight
    logits(adapter, batch)
    after = adapter.reference(batch, DENSE)
    assert after.dtype is torch.bfloat16
    assert torch.equal(before, after)
    assert adapter.model.get_output_embeddings().weight is weight
    assert "forward" not in vars(adapter.model.get_output_embeddings())


@torch.no_grad()
def test_margins_of_one_token_do_not_come_in_steps(adapter, demo_tokenizer):
    """Logits of 1 to 2 lie 1/128 apart in bfloat16, and so would margins."""
    objective = Margin(data="demo", samples=1)
    ids = torch.arange(20 * 4).reshape(20, 2, 2) % 61 + 3
    samples = [
        {
            "input_ids": pair,
            "targets": torch.tensor([[int(pair[0, 1]), IGNORE], [int(pair[0, 1]) + 1, IGNORE]]),
            "right": torch.tensor([True, False]),
            "characters": torch.tensor([1, 1]),
        }
        for pair in (torch.stack([row[0], row[0]]) for row in ids)
    ]
    meter = PrefixMeter(adapter, objective, batches_of(samples, 10**6))
    (piece,) = meter.measure([[DENSE]])
    steps = [margin * 256 for margin in piece.sums]
    assert sum(abs(step - round(step)) > 1e-3 for step in steps) > 10


def test_derivatives_are_those_of_the_plain_head(tiny_model, registry, monkeypatch, demo_tokenizer):
    spec = Spec(str(tiny_model("llama3", n_blocks=2)), device="cpu", dtype="bfloat16")
    adapter = load_adapter(spec, registry)
    objective = Margin(data="demo", samples=2)
    batches = batches_of(objective.calibration_set(demo_tokenizer), 10**6)
    found = [signal(adapter, objective, batches) for signal in (gate_gradients, gate_hessian)]
    monkeypatch.setattr(linear_head, "_is_linear", lambda _: False)
    plain = [signal(adapter, objective, batches) for signal in (gate_gradients, gate_hessian)]
    for mine, other in zip(found, plain, strict=True):
        mine, other = torch.tensor(mine), torch.tensor(other)
        assert torch.allclose(mine, other, rtol=0.05, atol=0.02 * float(other.abs().max()))
        assert mine.abs().max() > 0
