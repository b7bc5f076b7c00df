"""Reading back what lies in a folder."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.plugins.commands.show.show import to_json


@pytest.fixture
def result(quick):
    return prunekit.search(searcher="one-shot", **quick)


@pytest.fixture
def workdir(quick):
    return quick["workdir"]


def test_a_run_is_read_back_as_it_was(result, workdir):
    shown = prunekit.show(result.run)
    assert (shown.kind, shown.result) == ("run", result)
    assert (shown.evaluation, shown.latency) == (None, None)
    assert prunekit.show(Path(result.run).name, workdir=workdir).result == result


def test_losses_that_were_not_finite_are_read_back(result):
    path = Path(result.run, "result.json")
    row = json.loads(path.read_text())
    row["dense"] = {"loss": None, "readings": {"perplexity": None}}
    row["runner_up"] = None
    path.write_text(json.dumps(row))
    shown = prunekit.show(result.run)
    assert shown.result.dense.loss == float("inf")
    assert json.loads(to_json(shown))["result"]["dense"]["loss"] is None


def test_what_other_commands_left_in_a_run_is_read_too(result, workdir):
    evaluated = prunekit.evaluate(run=result.run, ppl="demo", ppl_samples=2, workdir=workdir)
    timed = prunekit.latency(run=result.run, prompt_length=4, new_tokens=2, repeats=1)
    shown = prunekit.show(result.run)
    (row,) = shown.evaluation["perplexities"]["demo"]
    assert row["pruned"] == evaluated.perplexities["demo"].pruned
    assert shown.latency["decode_ratio"]["median"] == timed.decode_ratio.median


@pytest.mark.parametrize("name", ["evaluation.json", "latency.json"])
def test_what_is_torn_is_named(result, name):
    Path(result.run, name).write_text('{"half')
    with pytest.raises(ConfigError, match=f"{name} is not JSON"):
        prunekit.show(result.run)


def test_a_run_that_was_stopped_says_how_to_go_on(result):
    Path(result.run, "result.json").unlink()
    shown = prunekit.show(result.run)
    assert (shown.kind, shown.config) == ("unfinished run", f"{result.run}/config.yaml")


def test_an_exported_checkpoint_says_where_it_comes_from(result, tmp_path):
    to = prunekit.export(run=result.run, to=tmp_path / "pruned")
    shown = prunekit.show(to)
    assert (shown.kind, shown.model_type, shown.n_blocks) == ("checkpoint", "llama", 5)
    assert shown.parameters == result.parameters - result.parameters_removed
    assert shown.record["removed"] == list(result.removed)
    assert shown.record["config"]["searcher"] == "one-shot"
    assert json.loads(to_json(shown))["record"] == json.loads((to / "prunekit.json").read_text())


def test_another_checkpoint_is_described_from_the_headers_of_its_files(tiny_model, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_model("qwen3"), dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "model", max_shard_size="100KB")
    shown = prunekit.show(tmp_path / "model")
    stored = [load_file(path) for path in (tmp_path / "model").glob("*.safetensors")]
    count = sum(tensor.numel() for tensors in stored for tensor in tensors.values())
    assert shown.files == len(stored) > 1
    assert (shown.parameters, shown.dtypes) == (count, {"BF16": count})
    assert (shown.model_type, shown.n_blocks, shown.record) == ("qwen3", 8, None)


def test_demos_have_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prunekit.show("demo").model_type == "qwen3"
    assert prunekit.show("demo:llama31").parameters == 1_821_792


def test_a_journal_says_what_was_measured_of_what(workdir, quick):
    result = prunekit.search(searcher="one-shot", finalists=0, **quick)
    (folder,) = (workdir / "journals").iterdir()
    shown = prunekit.show(folder)
    assert shown.kind == "journal"
    assert shown.by_size == {0: 1, 1: 8, 3: 1}
    assert (shown.subsets, shown.samples, shown.segments) == (10, 4, 1)
    assert shown.describes["weights"] == result.weights
    assert shown.models == [quick["model"]]


def test_all_runs_are_listed(result, workdir, quick):
    stopped = workdir / "runs" / "greedy-ppl-k2-0123abcd"
    torn = workdir / "runs" / "torn"
    for folder in (stopped, torn):
        shutil.copytree(result.run, folder)
    (stopped / "result.json").unlink()
    (torn / "result.json").write_text("{")
    shown = prunekit.show(workdir)
    assert shown.results == [result]
    assert shown.others == {stopped.name: "not over", "torn": "cannot be read"}
    assert shown.unfinished == [f"{stopped}/config.yaml"]


def test_what_is_none_of_these_is_named(tmp_path, workdir):
    (tmp_path / "notes.jsonl").write_text("{}\n")
    for path in (tmp_path, tmp_path / "nowhere", "nothing"):
        with pytest.raises(ConfigError, match="nothing to show; expected the folder of a run"):
            prunekit.show(path, workdir=workdir)


def test_a_study_is_left_to_its_own_command(tmp_path):
    (tmp_path / "cells.json").write_text("{}")
    with pytest.raises(ConfigError, match="the folder of a study; `prunekit report"):
        prunekit.show(tmp_path)


def test_a_broken_checkpoint_is_named(tiny_model, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_model(), folder)
    (folder / "model.safetensors").write_bytes(b"not at all")
    with pytest.raises(CheckpointError, match="broken or cut short"):
        prunekit.show(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"holds no \.safetensors file"):
        prunekit.show(folder)


@pytest.mark.parametrize("describes", [{}, {"weights": "a"}, {"weights": "a", "objective": 3}, []])
def test_a_journal_that_does_not_describe_itself_is_named(tmp_path, describes):
    folder = tmp_path / "journals" / "a"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text(json.dumps({"schema": 2, "describes": describes}) + "\n")
    with pytest.raises(ConfigError, match=r"a\.jsonl:1: not the first line of a journal"):
        prunekit.show(folder)
    elsewhere = folder.rename(tmp_path / "data")
    with pytest.raises(ConfigError, match="nothing to show"):
        prunekit.show(elsewhere)
