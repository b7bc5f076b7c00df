"""What was evaluated is kept: scores by model and subset, and the record of a run."""

import json
import math
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Interrupted
from prunekit.plugins.commands.evaluate import evaluator as evaluating
from prunekit.plugins.commands.evaluate.store import read_record, rows_of

PPL = {"ppl": "demo", "ppl_samples": 3}
TASK = {"tasks": "demo", "limit": 4}


@pytest.fixture
def run(quick):
    return prunekit.search(searcher="one-shot", **quick).run


@pytest.fixture
def again(run, quick):
    """Evaluate the run: `again(ppl="demo")`."""

    def evaluate(**given):
        return prunekit.evaluate(run=run, workdir=quick["workdir"], **given)

    return evaluate


@pytest.fixture
def measured(monkeypatch):
    """What was measured, by protocol or task, and not read back."""
    log = []
    measure, run_task = evaluating.measure_perplexities, evaluating.run_task

    def perplexities(adapter, windows, subsets, *rest):
        log.append((windows.protocol.name, len(subsets)))
        return measure(adapter, windows, subsets, *rest)

    def task(task, *rest):
        log.append((task.name, 1))
        return run_task(task, *rest)

    monkeypatch.setattr(evaluating, "measure_perplexities", perplexities)
    monkeypatch.setattr(evaluating, "run_task", task)
    return log


def test_nothing_is_measured_twice(again, measured):
    first = again(**PPL, **TASK)
    assert measured == [("demo", 2), ("demo", 1), ("demo", 1)]
    measured.clear()
    assert again(**PPL, **TASK) == first
    assert measured == []
    again(**{**TASK, "limit": 3})
    again(**{**PPL, "ppl_samples": 2})
    assert measured == [("demo", 1), ("demo", 1), ("demo", 2)]


def test_the_dense_model_is_measured_once_for_all_runs_of_it(quick, measured):
    for remove in ([1], [1, 2]):
        prunekit.evaluate(quick["model"], remove=remove, workdir=quick["workdir"], **PPL)
    assert measured == [("demo", 2), ("demo", 1)]


def test_changed_items_are_measured_again(again, measured, write_task):
    folder = write_task("kings")
    again(tasks="kings", include_path=folder, limit=4)
    write_task("kings", names=["owl", "fox", "hen", "cat"])
    evaluating.load_tasks.__globals__["_load"].cache_clear()  # as a new process has it
    again(tasks="kings", include_path=folder, limit=4)
    assert measured == [("kings", 1)] * 4


def test_with_another_tokenizer_everything_is_measured_again(quick, measured, tmp_path):
    model = shutil.copytree(quick["model"], tmp_path / "model")
    settings = {"remove": [1], "workdir": quick["workdir"], **PPL, **TASK}
    prunekit.evaluate(str(model), **settings)
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["normalizer"] = {"type": "Lowercase"}
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    prunekit.evaluate(str(model), **settings)
    assert measured == [("demo", 2), ("demo", 1), ("demo", 1)] * 2


def test_a_run_keeps_every_way_in_which_it_was_evaluated(again, run):
    first = again(**PPL, **TASK)
    short = again(**{**PPL, "ppl_samples": 2})
    again(**PPL)
    record = read_record_of(run)
    assert [row["pruned"] for row in record["perplexities"]["demo"]] == [
        short.perplexities["demo"].pruned,
        first.perplexities["demo"].pruned,
    ]
    (task,) = record["tasks"]["demo"]
    assert task["pruned"] == first.tasks["demo"].pruned
    assert task["record"]["lm_eval"] == task["versions"]["lm_eval"]
    assert task["fingerprint"]["weights"] == prunekit.show(run).result.weights
    assert {row.name for row in rows_of(record)} == {"demo"}


def test_a_record_holds_the_whole_protocol(again, run):
    again(**PPL)
    (row,) = read_record_of(run)["perplexities"]["demo"]
    wanted = {"source", "split", "length", "stride", "joint", "bos", "windows", "tokens", "digest"}
    assert wanted <= set(row["record"])


def test_a_broken_record_is_named_before_anything_is_measured(again, run, measured):
    path = Path(run, "evaluation.json")
    path.write_text("{")
    with pytest.raises(ConfigError, match="evaluation.json is not JSON"):
        again(**PPL)
    assert (path.read_text(), measured) == ("{", [])


def test_ctrl_c_keeps_what_was_evaluated(again, run, measured, monkeypatch):
    with monkeypatch.context() as patched:
        run_task, calls = evaluating.run_task, []

        def stopping(*given):
            calls.append(given)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return run_task(*given)

        patched.setattr(evaluating, "run_task", stopping)
        with pytest.raises(
            Interrupted, match=r"demo perplexity \(dense, pruned\), demo acc_norm \(dense\)"
        ):
            again(**PPL, **TASK)
    record = read_record_of(run)
    assert record["perplexities"]["demo"][0]["of"] == ["dense", "pruned"]
    assert record["tasks"]["demo"][0]["of"] == ["dense"]
    measured.clear()
    again(**PPL, **TASK)
    assert measured == [("demo", 1)]


def test_numbers_that_are_not_finite_are_kept_as_such(tiny_model, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_model("llama3"), model)
    tensors = load_file(model / "model.safetensors")
    tensors["lm_head.weight"][:] = math.nan
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    given = {"remove": [1], "workdir": tmp_path, **PPL}
    first = prunekit.evaluate(str(model), **given)
    assert first.perplexities["demo"].dense is None
    assert prunekit.evaluate(str(model), **given) == first
    json.loads(first.to_json())


def read_record_of(run):
    return read_record(Path(run))
