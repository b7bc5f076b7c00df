"""Timing a pruned model against the dense one."""

import json
import types
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.core.errors import Interrupted
from prunekit.core.spec import Spec
from prunekit.hf.blocks import block_path
from prunekit.hf.construction import new_name
from prunekit.hf.loading import load_adapter
from prunekit.hf.roundtrip import dense_and_pruned
from prunekit.plugins.commands.latency import benchmark
from prunekit.plugins.commands.latency.benchmark import Generation, Spread

SHORT = {"prompt_length": 12, "new_tokens": 4, "repeats": 3}


@pytest.fixture
def adapter(tiny_model, registry):
    """A model of 8 blocks."""
    return load_adapter(Spec(str(tiny_model()), device="cpu", dtype="float32"), registry)


@pytest.fixture
def models(adapter):
    """The model, and the same without three of its blocks."""
    return dense_and_pruned(adapter, frozenset({1, 4, 5}))


def state(model):
    """All by which torch and transformers choose a path through a model, by block and name."""
    found = {"model": (type(model), model.training, model.generation_config.to_dict())}
    own = ("_attn_implementation", "_experts_implementation", "use_cache", "dtype")
    found["config"] = [getattr(model.config, name, None) for name in own]
    head, words = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    found["tied"] = head is words
    for name, module in model.named_modules():
        hooks = [h for kind, h in vars(module).items() if kind.endswith("_hooks") and h]
        found[name] = (type(module), module.training, hooks, "forward" in vars(module))
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        found[name] = (type(p), p.requires_grad, p.dtype, p.device, p.stride(), p.is_contiguous())
    return found


@pytest.mark.parametrize("family", ["llama3", "qwen3", "gpt2", "gemma2"])
def test_the_models_differ_in_nothing_but_blocks_and_are_as_transformers_loads_them(
    family, tiny_model, registry
):
    folder, removed = tiny_model(family), frozenset({1, 4, 5})
    adapter = load_adapter(Spec(str(folder), device="cpu", dtype="float32"), registry)
    stock = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    dense, pruned = map(state, dense_and_pruned(adapter, removed))
    assert dense == state(stock)
    path = block_path(stock)
    kept = [i for i in range(8) if i not in removed]
    stays = {name: new_name(name, path, kept) for name in dense}
    assert pruned == {new: dense[old] for old, new in stays.items() if new is not None}


def test_with_nothing_removed_the_dense_model_is_timed_against_itself(tiny_model, monkeypatch):
    taken = faked(monkeypatch, lambda blocks, turn: 1.0)
    result = prunekit.latency(str(tiny_model()), remove=[], **SHORT)
    assert taken == [8, 8] * 4
    assert (result.removed, result.dense) == ((), result.pruned)


def faked(monkeypatch, seconds):
    """Instead of generations: `seconds(blocks, turn)`; returns the blocks of each, in order."""
    taken = []

    def generation(model, prompt, new_tokens):
        blocks = model.config.num_hidden_layers
        taken.append(blocks)
        took = seconds(blocks, len(taken))
        return Generation(took, 2 * took, 1000 * blocks, None)

    monkeypatch.setattr(benchmark, "time_generation", generation)
    return taken


def test_the_models_take_turns_after_one_generation_each_that_does_not_count(
    tiny_model, monkeypatch
):
    taken = faked(monkeypatch, lambda blocks, turn: 1000.0 if turn <= 2 else float(blocks))
    result = prunekit.latency(str(tiny_model()), remove=[1, 4, 5], **SHORT)
    assert taken == [8, 5] * 4
    assert result.dense.prefill_seconds == (8.0, 8.0, 8.0)
    assert result.pruned.decode_seconds == (10.0, 10.0, 10.0)
    assert result.prefill_ratio == Spread(1.6, 1.6, 1.6)


def test_a_machine_that_slows_down_changes_no_ratio(tiny_model, monkeypatch):
    faked(monkeypatch, lambda blocks, turn: blocks * (1.0 + (turn - 1) // 2))
    result = prunekit.latency(str(tiny_model()), remove=[1, 4, 5], **{**SHORT, "repeats": 9})
    assert result.dense.prefill.high >= 2 * result.dense.prefill.low
    assert result.decode_ratio.low == pytest.approx(1.6)
    assert result.decode_ratio.high == pytest.approx(1.6)


def test_speeds_are_tokens_of_all_sequences_per_second(tiny_model, monkeypatch):
    faked(monkeypatch, lambda blocks, turn: 0.5)
    result = prunekit.latency(str(tiny_model()), remove=[1], batch_size=3, **SHORT)
    assert result.dense.prefill.median == 3 * 12 / 0.5
    assert result.dense.decode.median == 3 * 4 / 1.0
    assert result.dense.cache_bytes_per_token == 8000 / (3 * (12 + 4))


def test_ratios_are_those_of_pairs():
    assert Spread.of_ratios([1.0, 10.0, 9.0], [1.0, 5.0, 3.0]).median == 2.0
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2)])
def test_the_cache_holds_keys_and_values_of_every_block_that_is_left(tiny_model, dtype, size):
    result = prunekit.latency(
        str(tiny_model("qwen3")), remove=[1, 4, 5], batch_size=2, dtype=dtype, **SHORT
    )
    heads, width = 2, 8  # of keys; queries have four heads
    for of_model, blocks in ((result.dense, 8), (result.pruned, 5)):
        assert of_model.cache_bytes_per_token == 2 * heads * width * size * blocks
        assert of_model.cache_bytes == of_model.cache_bytes_per_token * 2 * (12 + 4)
        assert of_model.peak_bytes == of_model.weight_bytes + of_model.cache_bytes
    assert "counted" in result.peak_is


def test_a_window_that_slides_holds_less(tiny_model):
    result = prunekit.latency(str(tiny_model("qwen3-sliding")), remove=[7], **SHORT)
    whole, window = 12 + 4, 8 - 1  # what the next token sees besides itself
    held = [2 * 2 * 8 * 4 * (2 * whole + blocks * window) for blocks in (6, 5)]
    assert [result.dense.cache_bytes, result.pruned.cache_bytes] == held


def test_every_tensor_of_a_cache_is_counted_once():
    keys, state = torch.zeros(2, 3), torch.zeros(5, dtype=torch.bfloat16)
    layer = types.SimpleNamespace(keys=keys, again=[keys], states={"a": state}, name="x")
    cache = types.SimpleNamespace(layers=[layer, layer])
    cache.itself = cache
    assert sum(tensor.nbytes for tensor in benchmark.tensors_in(cache)) == 2 * 3 * 4 + 5 * 2


def test_on_cuda_peak_memory_is_what_running_adds_to_the_weights(models, monkeypatch):
    monkeypatch.setattr(benchmark, "_cuda_devices", lambda model: {"a", "b"})
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1000)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 1300)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    generation = benchmark.time_generation(models[0], torch.tensor([[5, 6, 7]]), 2)
    assert generation.added_bytes == 600


def test_parameters_are_those_of_each_model(tiny_model, registry):
    facts = load_adapter(Spec(str(tiny_model()), device="cpu"), registry).facts
    result = prunekit.latency(str(tiny_model()), remove=[1, 4], **SHORT)
    assert result.dense.parameters == facts.parameters
    gone = facts.block_parameters[1] + facts.block_parameters[4]
    assert result.pruned.parameters == facts.parameters - gone
    assert result.dense.weight_bytes - result.pruned.weight_bytes == 4 * gone


def test_memory_holds_the_weights_once_and_the_dense_model_stays_whole(models, adapter):
    dense, pruned = models
    held, of_dense, of_pruned = (
        {p.data_ptr() for p in model.parameters()} for model in (adapter.model, dense, pruned)
    )
    assert of_pruned < of_dense == held
    assert (dense.config.num_hidden_layers, pruned.config.num_hidden_layers) == (8, 5)
    assert [block.self_attn.layer_idx for block in dense.model.layers] == list(range(8))
    assert [block.self_attn.layer_idx for block in pruned.model.layers] == list(range(5))


def test_what_is_timed_generates_what_the_exported_model_generates(models, tiny_model, tmp_path):
    to = prunekit.export(str(tiny_model()), remove=[1, 4, 5], to=tmp_path / "pruned")
    exported = AutoModelForCausalLM.from_pretrained(to, dtype=torch.float32).eval()
    prompt = torch.arange(3, 15)[None]
    given = {"attention_mask": torch.ones_like(prompt), "do_sample": False, "max_new_tokens": 20}
    assert torch.equal(models[1].generate(prompt, **given), exported.generate(prompt, **given))


def test_a_model_that_is_pruned_wrongly_is_not_timed(tiny_model, monkeypatch):
    from prunekit.hf.decoder import DecoderAdapter

    honest = DecoderAdapter.without
    monkeypatch.setattr(
        DecoderAdapter, "without", lambda self, removed: honest(self, removed ^ {0, 1})
    )
    with pytest.raises(CheckpointError, match="predicts something else"):
        prunekit.latency(str(tiny_model()), remove=[1], **SHORT)


def test_no_row_ends_early(models, monkeypatch):
    """Whatever token a model calls the end of a text."""
    dense, _ = models
    prompt, sizes = torch.tensor([[5, 6, 7]]), []
    dense.generation_config.eos_token_id = int(dense(prompt).logits[0, -1].argmax())
    put = benchmark._Clock.put

    def counted(self, tokens):
        sizes.append(tokens.numel())
        put(self, tokens)

    monkeypatch.setattr(benchmark._Clock, "put", counted)
    benchmark.time_generation(dense, prompt, 6)
    assert sizes == [3] + 7 * [1]


def test_a_run_is_timed_as_it_was_searched_or_elsewhere_and_remembers_it(quick):
    run = prunekit.search(searcher="one-shot", **quick).run
    result = prunekit.latency(run=run, dtype="bfloat16", device="cpu", **SHORT)
    assert (len(result.removed), result.dtype, result.model) == (3, "bfloat16", quick["model"])
    kept = json.loads(Path(run, "latency.json").read_text())
    assert kept == json.loads(result.to_json())
    with pytest.raises(ConfigError, match="adapter: a run knows this itself"):
        prunekit.latency(run=run, adapter="llama3", **SHORT)
    with pytest.raises(ConfigError, match="dtype: expected auto"):
        prunekit.latency(run=run, dtype="int8", **SHORT)


def test_what_was_stopped_is_not_kept(quick, monkeypatch):
    run = prunekit.search(searcher="one-shot", **quick).run

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "time_generation", interrupted)
    with pytest.raises(Interrupted, match="kept only when it is over"):
        prunekit.latency(run=run, **SHORT)
    assert not Path(run, "latency.json").exists()


def test_progress_counts_generations(tiny_model):
    steps = []
    prunekit.latency(str(tiny_model()), remove=[1], **SHORT, progress=steps.append)
    assert steps[0] == prunekit.Step("loading the model")
    timed = [step for step in steps if step.unit == "generations"]
    assert [step.done for step in timed] == list(range(8))
    assert {step.total for step in timed} == {8}
    assert [step.what for step in timed[:3]] == ["warming up", "warming up", "timing"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"remove": [1], "prompt_length": 128}, "the model's context holds 128"),
        ({"remove": [1], "repeats": 0}, "repeats: 0 is outside 1.."),
        ({"remove": [1], "batch_size": "many"}, "batch_size: expected int, got 'many'"),
        ({"remove": [8]}, "no such block: 8"),
        ({}, "either a run, as --run NAME, or the blocks"),
    ],
)
def test_mistakes_are_named(tiny_model, given, message):
    with pytest.raises(ConfigError, match=message):
        prunekit.latency(str(tiny_model()), **{**SHORT, **given})


def test_too_little_memory_is_one_line(tiny_model, monkeypatch):
    def too_much(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(benchmark, "time_generation", too_much)
    with pytest.raises(ConfigError, match="out of memory with 2 x 12 tokens.*--batch-size"):
        prunekit.latency(str(tiny_model()), remove=[1], batch_size=2, **SHORT)


def test_no_special_token_is_in_the_prompt(tiny_model):
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(tiny_model())
    config.eos_token_id = [3, 4]
    prompt = benchmark._prompt(config, benchmark.Workload(prompt_length=20_000))
    assert prompt.shape == (1, 20_000)
    assert set(range(config.vocab_size)) - set(prompt.flatten().tolist()) == {0, 3, 4}


@pytest.mark.gpu
def test_on_a_gpu_the_peak_is_more_than_weights_and_cache(tiny_model):
    result = prunekit.latency(str(tiny_model()), remove=[1, 4], device="cuda", **SHORT)
    for of_model in (result.dense, result.pruned):
        assert of_model.peak_bytes > of_model.weight_bytes + of_model.cache_bytes
    assert result.pruned.peak_bytes < result.dense.peak_bytes


def test_a_checkpoint_is_timed_beside_the_dense_model_that_it_was_made_from(tiny_model, tmp_path):
    dense = tiny_model("llama3")
    (tmp_path / dense.name).symlink_to(dense)
    prunekit.export(str(dense), remove=[1, 2], to=tmp_path / "pruned")
    work = {"prompt_length": 4, "new_tokens": 2, "repeats": 1}
    result = prunekit.latency(str(tmp_path / "pruned"), **work)
    assert result.removed == (1, 2)
    assert result.pruned.parameters < result.dense.parameters
    (tmp_path / dense.name).unlink()
    with pytest.raises(ConfigError, match="cannot be timed beside another: without its dense"):
        prunekit.latency(str(tmp_path / "pruned"), **work)
