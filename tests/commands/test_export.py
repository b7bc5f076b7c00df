"""Exported checkpoints: loaded by stock transformers, they are the pruned model."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.core.spec import Spec
from prunekit.hf.loading import load_adapter
from prunekit.hf.proof import probe


@pytest.fixture(params=["llama3", "llama31", "qwen3", "qwen3-sliding"])
def folder(request, tiny_model):
    return tiny_model(request.param)


@torch.no_grad()
def bypassed_logits(folder, removed, registry):
    adapter = load_adapter(Spec(str(folder), device="cpu", dtype="float32"), registry)
    return adapter.reference(probe(24), frozenset(removed))


@torch.no_grad()
def test_an_exported_model_loads_and_predicts_what_the_bypassed_model_does(
    folder, tmp_path, registry
):
    to = prunekit.export(str(folder), remove=[1, 4, 5], to=tmp_path / "pruned")
    model, report = AutoModelForCausalLM.from_pretrained(
        to, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values())
    assert model.config.num_hidden_layers == 5
    logits = model.eval()(input_ids=probe(24).input_ids).logits
    assert torch.equal(logits, bypassed_logits(folder, {1, 4, 5}, registry))


def test_it_generates_the_same_with_and_without_a_cache(folder, tmp_path):
    to = prunekit.export(str(folder), remove=[0, 3], to=tmp_path / "pruned")
    model = AutoModelForCausalLM.from_pretrained(to, dtype=torch.float32).eval()
    prompt = AutoTokenizer.from_pretrained(to)("Once upon a time", return_tensors="pt")
    texts = [
        model.generate(**prompt, max_new_tokens=20, do_sample=False, use_cache=c)
        for c in (True, False)
    ]
    assert torch.equal(*texts)


def test_weights_keep_their_dtype(tiny_model, tmp_path, registry):
    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(tiny_model(), dtype=torch.bfloat16).save_pretrained(half)
    AutoTokenizer.from_pretrained(tiny_model()).save_pretrained(half)
    to = prunekit.export(str(half), remove=[2], to=tmp_path / "pruned")
    assert {t.dtype for t in load_file(to / "model.safetensors").values()} == {torch.bfloat16}
    model = AutoModelForCausalLM.from_pretrained(to, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(input_ids=probe(24).input_ids).logits
    assert torch.equal(logits, bypassed_logits(half, {2}, registry))


def test_a_search_can_save_its_choice_and_the_checkpoint_says_where_it_comes_from(
    tiny_model, tmp_path
):
    result = prunekit.search(
        str(tiny_model()),
        searcher="one-shot",
        ppl={"data": "demo", "samples": 2, "length": 24},
        workdir=tmp_path / "work",
        save=tmp_path / "pruned",
    )
    record = json.loads((tmp_path / "pruned" / "prunekit.json").read_text())
    assert record["removed"] == list(result.removed)
    assert record["kept"] == list(result.kept)
    names = {"model": tiny_model().name, "run": result.run.split("/")[-1]}
    assert record["search"] == {**result.as_dict(), **names}
    assert record["versions"]["prunekit"] == result.versions["prunekit"]
    later = prunekit.export(run=result.run, to=tmp_path / "later")
    assert (
        load_file(later / "model.safetensors").keys()
        == load_file(tmp_path / "pruned" / "model.safetensors").keys()
    )
    name = result.run.split("/")[-1]
    assert prunekit.export(run=name, workdir=tmp_path / "work", to=tmp_path / "third").is_dir()


def test_a_run_knows_its_model_and_no_other_is_taken(tiny_model, tmp_path):
    given = {"searcher": "one-shot", "ppl": {"data": "demo", "samples": 2, "length": 24}}
    result = prunekit.search(
        str(tiny_model()), **given, dtype="bfloat16", workdir=tmp_path / "work"
    )
    with pytest.raises(ConfigError, match="model, device: a run knows this itself"):
        prunekit.export("demo", run=result.run, device="cpu", to=tmp_path / "pruned")
    to = prunekit.export(run=result.run, to=tmp_path / "pruned")
    dtypes = {t.dtype for t in load_file(to / "model.safetensors").values()}
    assert dtypes == {torch.float32}, "the dtype of the search is not that of the weights"


def test_a_run_of_a_version_with_other_options_says_what_to_do(tiny_model, tmp_path):
    given = {"searcher": "one-shot", "ppl": {"data": "demo", "samples": 2, "length": 24}}
    found = prunekit.search(str(tiny_model()), **given, workdir=tmp_path)
    config = tmp_path / "runs" / found.run.split("/")[-1] / "config.yaml"
    config.write_text(config.read_text().replace("add_bos: auto", "add_bos: false"))
    line = r"config.yaml:\d+: ppl.add_bos: expected .*got False; .*search again, .*--remove"
    with pytest.raises(ConfigError, match=line):
        prunekit.export(run=found.run, workdir=tmp_path, to=tmp_path / "out")


def test_a_model_that_changed_since_its_search_is_not_pruned(tiny_model, tmp_path):
    model = copy_of(tiny_model(), tmp_path / "model")
    given = {"searcher": "one-shot", "ppl": {"data": "demo", "samples": 2, "length": 24}}
    result = prunekit.search(str(model), **given, workdir=tmp_path / "work")
    other = tiny_model("llama3", n_blocks=8, intermediate_size=48)
    for path in other.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ConfigError, match="its weights have changed"):
        prunekit.export(run=result.run, to=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()


def test_another_dtype_is_written_on_request(tiny_model, tmp_path):
    to = prunekit.export(str(tiny_model()), remove=[1], dtype="bfloat16", to=tmp_path / "pruned")
    assert {t.dtype for t in load_file(to / "model.safetensors").values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        (5, "expected block numbers"),
        (["a"], "expected block numbers"),
        ([1.5], "expected block numbers"),
        ([3, 3], "named twice: 3"),
        ([8], "no such block: 8; this model has blocks 0 to 7"),
        ([-1], "no such block: -1"),
        ([], "0 of 8 blocks cannot be removed"),
        (range(8), "8 of 8 blocks cannot be removed"),
    ],
)
def test_blocks_that_cannot_be_removed_are_named(tiny_model, tmp_path, remove, message):
    with pytest.raises(ConfigError, match=message):
        prunekit.export(str(tiny_model()), remove=remove, to=tmp_path / "pruned")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_overwritten(tiny_model, tmp_path):
    with pytest.raises(ConfigError, match="exists already"):
        prunekit.export(str(tiny_model()), remove=[1], to=tmp_path)


def test_run_or_blocks_but_not_both_and_not_neither(tmp_path):
    for given in ({}, {"run": "x", "remove": [1]}):
        with pytest.raises(ConfigError, match="either a run, as --run NAME, or the blocks"):
            prunekit.export(**given, to=tmp_path / "pruned")


def test_an_unknown_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such run"):
        prunekit.export(run="nothing", workdir=tmp_path, to=tmp_path / "pruned")


@pytest.mark.parametrize("fault", ["predicts something else", "generates something else"])
def test_a_model_that_fails_its_proof_is_never_written(tiny_model, tmp_path, monkeypatch, fault):
    from prunekit.hf.decoder import DecoderAdapter

    honest = DecoderAdapter.without

    def dishonest(self, removed):
        model = honest(self, removed)
        model.model.norm.weight.data = model.model.norm.weight + 1
        return model

    if fault == "predicts something else":
        monkeypatch.setattr(DecoderAdapter, "without", dishonest)
    else:
        break_caches(monkeypatch)
    with pytest.raises(CheckpointError, match=f"so (nothing was|no export.*verified): it {fault}"):
        prunekit.export(str(tiny_model()), remove=[1], to=tmp_path / "pruned")
    assert list(tmp_path.iterdir()) == []


def break_caches(monkeypatch):
    from transformers.cache_utils import DynamicLayer

    whole = DynamicLayer.update

    def forgetful(self, keys, values, *args, **kwargs):
        keys, values = whole(self, keys, values, *args, **kwargs)
        return keys, values * 0.5 if keys.shape[-2] > 18 else values

    monkeypatch.setattr(DynamicLayer, "update", forgetful)


def copy_of(folder, to):
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_weights_cut_short_are_one_line(tiny_model, tmp_path):
    broken = copy_of(tiny_model(), tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="broken or cut short"):
        prunekit.search(
            str(broken), ppl={"data": "demo", "samples": 2, "length": 24}, workdir=tmp_path
        )


def test_missing_weights_are_never_made_up(tiny_model, tmp_path):
    broken = copy_of(tiny_model(), tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    del weights["model.layers.3.mlp.up_proj.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="missing keys: model.layers.3.mlp.up_proj.weight"):
        prunekit.export(str(broken), remove=[1], to=tmp_path / "pruned")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no config.json"),
        (["config.json"], "holds no .safetensors file"),
        (["model.safetensors"], "holds no config.json"),
    ],
)
def test_a_folder_without_a_checkpoint_is_named(tiny_model, tmp_path, files, message):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in files:
        (folder / name).write_bytes((tiny_model() / name).read_bytes())
    with pytest.raises(CheckpointError, match=message):
        prunekit.export(str(folder), remove=[1], to=tmp_path / "pruned")


def test_a_config_that_is_no_json_is_named(tiny_model, tmp_path):
    broken = copy_of(tiny_model(), tmp_path / "broken")
    (broken / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="config.json is not valid JSON"):
        prunekit.export(str(broken), remove=[1], to=tmp_path / "pruned")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("some/where/else", "no such folder"),
        ("nobody/nothing", "not in the local cache, and the hub cannot be reached"),
        ("demo:gpt2", "no model is called 'gpt2'"),
    ],
)
def test_a_model_that_cannot_be_found_is_named(tmp_path, model, message):
    with pytest.raises((CheckpointError, ConfigError), match=message):
        prunekit.export(model, remove=[1], to=tmp_path / "pruned")
