"""Run block by block, every family gives what physically pruned models give, to the last bit."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from prunekit.core import CheckpointError, ConfigError, UnfitModel
from prunekit.core.spec import Spec
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.loading import choose_adapter, load_adapter
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.proof import probe, prove
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.perplexity import Perplexity
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.signals.gates import gate_gradients

FAMILIES = ["llama3", "llama31", "qwen3", "qwen3-sliding"]


@pytest.fixture(params=FAMILIES)
def folder(request, tiny_model):
    return tiny_model(request.param)


def adapter_of(folder, registry, **more):
    return load_adapter(Spec(str(folder), device="cpu", dtype="float32", **more), registry)


def physically_pruned(folder, removed):
    """Only transformers: delete the blocks and number the others anew."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    kept = [block for i, block in enumerate(model.model.layers) if i not in removed]
    model.model.layers = torch.nn.ModuleList(kept)
    for number, block in enumerate(kept):
        block.self_attn.layer_idx = number
    model.config.num_hidden_layers = len(kept)
    if getattr(model.config, "layer_types", None):
        types = model.config.layer_types
        model.config.layer_types = [t for i, t in enumerate(types) if i not in removed]
    return model


@torch.no_grad()
def naive_loss(model, samples):
    """Negative log-likelihood by the book: full logits, float64 sums."""
    ids = torch.cat([s["input_ids"] for s in samples])
    logprobs = model(input_ids=ids, use_cache=False).logits.log_softmax(-1)
    chosen = logprobs[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    return [-row.double().sum().item() for row in chosen]


def test_losses_of_30_subsets_are_those_of_physically_pruned_models(
    folder, registry, demo_tokenizer
):
    objective = Perplexity(data="demo", samples=4, length=48)
    samples = objective.calibration_set(demo_tokenizer)
    meter = PrefixMeter(adapter_of(folder, registry), objective, batches_of(samples, 10**6))
    rng = random.Random(0)
    subsets = [frozenset(rng.sample(range(8), rng.randint(1, 7))) for _ in range(30)]
    found = {
        piece.subset: list(piece.sums)
        for piece in meter.measure([sorted(set(subsets), key=sorted)])
    }
    for subset in subsets:
        naive = naive_loss(physically_pruned(folder, subset), samples)
        assert found[subset] == pytest.approx(naive, rel=1e-7)


def test_measuring_changes_nothing_that_is_measured_later(tiny_model, registry, demo_tokenizer):
    objective = Perplexity(data="demo", samples=2, length=24)
    batches = batches_of(objective.calibration_set(demo_tokenizer), 10**6)
    meter = PrefixMeter(adapter_of(tiny_model(), registry), objective, batches)
    subsets = [frozenset({i}) for i in range(8)]
    assert list(meter.measure([subsets])) == list(meter.measure([subsets]))
    assert torch.is_grad_enabled()


def test_batch_size_changes_a_loss_by_rounding_only(tiny_model, registry, demo_tokenizer):
    objective = Perplexity(data="demo", samples=6, length=24)
    samples = objective.calibration_set(demo_tokenizer)
    adapter = adapter_of(tiny_model(), registry)

    def sums(tokens):
        batches = batches_of(samples, tokens)
        pieces = PrefixMeter(adapter, objective, batches).measure([[frozenset({2})]] * len(batches))
        return [x for piece in pieces for x in piece.sums]

    assert sums(24) == pytest.approx(sums(10**6), rel=1e-6)


@pytest.mark.parametrize("n_blocks", [32, 36])
def test_block_forwards_of_one_shot_are_counted(
    n_blocks, tiny_model, registry, demo_tokenizer, tmp_path, monkeypatch
):
    from prunekit.core.problem import Problem
    from prunekit.engine.cache import MeasurementCache
    from prunekit.engine.journal import Journal

    folder = tiny_model("llama3", n_blocks=n_blocks, hidden_size=8, intermediate_size=8)
    objective = Perplexity(data="demo", samples=3, length=8)
    batches = batches_of(objective.calibration_set(demo_tokenizer), 16)
    assert len(batches) == 2
    adapter, calls = adapter_of(folder, registry), []
    block = adapter.block
    monkeypatch.setattr(adapter, "block", lambda *given: (calls.append(given), block(*given))[1])
    cache = MeasurementCache(
        PrefixMeter(adapter, objective, batches), batches, Journal(tmp_path, {})
    )
    request = next(OneShot().search(Problem(n_blocks, 7)))
    cache.measure(request)
    assert cache.block_runs == len(calls) / len(batches) == {32: 527, 36: 665}[n_blocks]


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"model_type": "llama"}, "llama3"),
        (
            {"model_type": "llama", "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
            "llama3",
        ),
        ({"model_type": "qwen3"}, "qwen3"),
    ],
)
def test_the_family_is_recognised(config, family, registry):
    assert choose_adapter(AutoConfig.for_model(**config), None, registry).name == family


def test_llama31_is_told_from_llama3_by_its_rotary_scaling(tiny_model, registry):
    config = Checkpoint(str(tiny_model("llama31"))).config()
    assert choose_adapter(config, None, registry).name == "llama31"


def test_another_rotary_scaling_or_family_goes_to_the_generic_adapter(registry):
    linear = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    for config in ({"model_type": "llama", "rope_parameters": linear}, {"model_type": "gpt2"}):
        found = choose_adapter(AutoConfig.for_model(**config), None, registry)
        assert found.name == "hf-decoder"


def test_a_model_that_writes_no_text_is_nobodys(registry):
    with pytest.raises(CheckpointError, match="no language model .* model type 'vit'; expected"):
        choose_adapter(AutoConfig.for_model("vit"), None, registry)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_any_other_decoder_is_searched_and_exported_by_the_generic_adapter(
    family, tiny_model, tmp_path
):
    import prunekit

    model = str(tiny_model(family))
    given = {"ppl": {"data": "demo", "samples": 2, "length": 24}, "workdir": tmp_path / "work"}
    result = prunekit.search(model, searcher="one-shot", save=tmp_path / "pruned", **given)
    pruned = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned", dtype=torch.float32).eval()
    samples = Perplexity(data="demo", samples=2, length=24).calibration_set(
        Checkpoint(model).tokenizer()
    )
    losses = naive_loss(pruned, samples)
    assert result.pruned.loss == pytest.approx(sum(losses) / (2 * 23), rel=1e-6)


def test_two_families_that_claim_a_model_are_named(install, tiny_model):
    from prunekit.core.registry import load

    install(
        "prunekit-rival",
        "from prunekit.core import hookimpl\n"
        "from prunekit.hf.decoder import DecoderAdapter\n"
        "class Rival(DecoderAdapter):\n    'Claims all.'\n    name = 'rival'\n"
        "    @classmethod\n    def handles(cls, config): return 2\n"
        "@hookimpl\ndef prunekit_models(): return [Rival]\n",
    )
    with pytest.raises(CheckpointError, match="more than one .* --adapter from: llama3, rival"):
        choose_adapter(Checkpoint(str(tiny_model())).config(), None, load())


def test_an_unknown_adapter_is_named(tiny_model, registry):
    with pytest.raises(ConfigError, match="no model is called 'lama3'. Did you mean 'llama3'"):
        adapter_of(tiny_model(), registry, adapter="lama3")


def test_a_model_whose_blocks_share_more_than_a_hidden_state_is_refused(tiny_model, registry):
    adapter = adapter_of(tiny_model(), registry)
    giver, taker = (adapter.model.model.layers[i].mlp for i in (2, 5))
    give, take = giver.forward, taker.forward
    memory = []

    def remember(hidden):
        memory[:] = [give(hidden)]
        return memory[0]

    giver.forward = remember
    taker.forward = lambda hidden: take(hidden) + memory[0]
    with pytest.raises(UnfitModel, match="hand each other more than a hidden state"):
        prove(adapter)


@pytest.mark.parametrize("family", ["gpt2", "deepseek_v4"])  # the second has hidden states of 4-D
def test_gates_of_any_family_go_from_the_block_to_nothing(family, family_model, registry):
    folder, _ = family_model(family)
    adapter = adapter_of(folder, registry)
    batch = probe(24, 24)
    with torch.no_grad():
        state = adapter.enter(batch)
        whole, nothing, each = (
            adapter.gated_block(0, state, torch.tensor(gate)).hidden
            for gate in ([1.0], [0.0], [1.0, 0.0])
        )
        assert torch.equal(whole, adapter.block(0, state).hidden)
        assert torch.equal(nothing, state.hidden)
        assert torch.equal(
            adapter.hidden(replace(state, hidden=each))[0],
            adapter.hidden(replace(state, hidden=whole))[0],
        )
        assert torch.equal(adapter.hidden(replace(state, hidden=each))[1], adapter.hidden(state)[1])


@pytest.mark.parametrize("family", ["gpt2", "deepseek_v4"])
def test_gate_gradients_of_any_family_are_slopes_of_the_loss(family, family_model, registry):
    folder, _ = family_model(family)
    adapter = adapter_of(folder, registry)
    objective = Perplexity(data="demo", samples=2, length=24)
    batches = batches_of(objective.calibration_set(Checkpoint(str(folder)).tokenizer()), 10**6)
    slopes = gate_gradients(adapter, objective, batches)
    step = 1e-2

    def losses(gate):
        state = adapter.gated_block(3, at_block(adapter, batches[0], 3), torch.tensor([gate]))
        for index in range(4, adapter.facts.n_blocks):
            state = adapter.block(index, state)
        sums, weights = objective.measure(adapter.output(state), batches[0])
        return (sums / weights).double()

    with torch.no_grad():
        measured = (losses(1 + step) - losses(1 - step)) / (2 * step)
    assert [row[3] for row in slopes] == pytest.approx(measured.tolist(), rel=0.05, abs=1e-3)


def at_block(adapter, batch, number):
    state = adapter.enter(batch)
    for index in range(number):
        state = adapter.block(index, state)
    return state


def test_bfloat16_on_request(tiny_model, registry):
    adapter = load_adapter(Spec(str(tiny_model()), device="cpu", dtype="bfloat16"), registry)
    assert adapter.facts.fingerprint["dtype"] == "bfloat16"


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gpu_gives_the_losses_of_physically_pruned_models(folder, registry, dtype):
    load_adapter(Spec(str(folder), device="cuda", dtype=dtype), registry)  # proves itself


@pytest.mark.parametrize(("in_hardware", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_that_only_emulates_bfloat16_takes_float32(monkeypatch, in_hardware, dtype):
    import contextlib
    from types import SimpleNamespace

    from prunekit.hf.reading import resolve_dtype

    def supported(including_emulation=True):
        return in_hardware or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    stored = SimpleNamespace(dtype=lambda: torch.bfloat16)
    assert resolve_dtype("auto", "cuda:1", stored) is getattr(torch, dtype)
    assert resolve_dtype("own", "cuda:1", stored) is torch.bfloat16
