"""Evaluations: the numbers of stock transformers and of lm-eval, dense beside pruned."""

import json
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
from prunekit.core import ConfigError
from prunekit.workflows.evaluation.gate import GateMissed

QUICK = {
    "ppl": "demo",
    "tasks": "demo",
    "limit": 4,
    "ppl_samples": 3,
    "dtype": "float32",
}


@torch.no_grad()
def naive_perplexity(folder, text, length):
    """By the book: windows of the whole text, full logits, float64 sums."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False).input_ids
    total = count = 0
    for start in range(0, len(ids) - length + 1, length):
        window = torch.tensor([ids[start : start + length]])
        logprobs = model(input_ids=window).logits.log_softmax(-1)
        chosen = logprobs[0, :-1].gather(-1, window[0, 1:, None])
        total, count = total - chosen.double().sum().item(), count + length - 1
    return math.exp(total / count)


def test_a_perplexity_is_that_of_a_loop_over_stock_transformers(tiny_model, tmp_path):
    text = "Once upon a time there was a king who had three sons. " * 60
    (tmp_path / "text.txt").write_text(text)
    model = str(tiny_model("qwen3"))
    result = prunekit.evaluate(
        model,
        remove=[1, 4],
        ppl=str(tmp_path / "text.txt"),
        ppl_length=48,
        workdir=tmp_path / "work",
        dtype="float32",
        device="cpu",
    )
    (row,) = result.perplexities.values()
    pruned = prunekit.export(model, remove=[1, 4], to=tmp_path / "pruned")
    assert row.dense == pytest.approx(naive_perplexity(model, text, 48), rel=1e-6)
    assert row.pruned == pytest.approx(naive_perplexity(pruned, text, 48), rel=1e-6)
    assert row.difference == row.pruned - row.dense
    assert row.standard_error > 0


def test_a_task_has_the_numbers_of_the_harness_on_the_exported_folder(tiny_model, tmp_path):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    (tmp_path / "items.jsonl").write_text(
        "".join(
            json.dumps({"q": f"The {a} said", "c": [f"hello {a}", "no", "a king"], "y": n % 3})
            + "\n"
            for n, a in enumerate(["king", "queen", "fox", "hen", "boy", "girl"])
        )
    )
    (tmp_path / "kings.yaml").write_text(
        "task: kings\ndataset_path: json\ndataset_kwargs:\n  data_files:\n"
        f"    test: {tmp_path / 'items.jsonl'}\ntest_split: test\noutput_type: multiple_choice\n"
        "doc_to_text: '{{q}}'\ndoc_to_choice: '{{c}}'\ndoc_to_target: '{{y}}'\n"
        "metric_list:\n  - metric: acc\n  - metric: acc_norm\n"
    )
    model = str(tiny_model("llama3"))
    result = prunekit.evaluate(
        model,
        remove=[2],
        tasks="kings",
        include_path=tmp_path,
        batch_size=1,
        workdir=tmp_path / "work",
        dtype="float32",
        device="cpu",
    )
    pruned = prunekit.export(model, remove=[2], to=tmp_path / "pruned")
    stock = simple_evaluate(
        "hf",
        model_args={"pretrained": str(pruned), "dtype": "float32"},
        tasks=["kings"],
        device="cpu",
        task_manager=TaskManager(include_path=str(tmp_path)),
        bootstrap_iters=0,
    )
    assert result.tasks["kings"].pruned == stock["results"]["kings"]["acc_norm,none"]


def test_a_run_keeps_its_evaluations_and_measures_nothing_twice(quick, monkeypatch):
    run = prunekit.search(searcher="one-shot", **quick).run
    first = prunekit.evaluate(run=run, workdir=quick["workdir"], ppl="demo", ppl_samples=3)
    second = prunekit.evaluate(run=run, workdir=quick["workdir"], tasks="demo", limit=4)
    kept = json.loads(
        (quick["workdir"] / "runs" / run.split("/")[-1] / "evaluation.json").read_text()
    )
    assert set(kept["perplexities"]) == set(first.perplexities)
    assert set(kept["tasks"]) == set(second.tasks)

    def never(*args, **kwargs):
        raise AssertionError("measured again")

    monkeypatch.setattr("prunekit.workflows.evaluation.evaluator.measure_perplexities", never)
    monkeypatch.setattr("prunekit.workflows.evaluation.evaluator.run_task", never)
    assert prunekit.evaluate(run=run, workdir=quick["workdir"], ppl="demo", ppl_samples=3) == first


def test_a_pruned_checkpoint_is_set_beside_the_model_it_was_made_of(tiny_model, tmp_path):
    model = str(tiny_model("llama3"))
    pruned = prunekit.export(model, remove=[2, 3], to=tmp_path / "pruned")
    work = tmp_path / "work"
    result = prunekit.evaluate(str(pruned), workdir=work, **QUICK)
    same = prunekit.evaluate(model, remove=[2, 3], workdir=work, **QUICK)
    assert result.removed == (2, 3)
    assert result.perplexities["demo"].pruned == pytest.approx(
        same.perplexities["demo"].pruned, rel=1e-6
    )
    assert result.perplexities["demo"].dense == same.perplexities["demo"].dense
    assert result.tasks["demo"].difference == same.tasks["demo"].difference


def test_without_its_dense_model_a_checkpoint_is_evaluated_alone(tiny_model, tmp_path):
    pruned = prunekit.export(str(tiny_model("llama3")), remove=[2], to=tmp_path / "pruned")
    record = json.loads((pruned / "prunekit.json").read_text())
    (pruned / "prunekit.json").write_text(json.dumps({**record, "model": "./gone"}))
    result = prunekit.evaluate(str(pruned), workdir=tmp_path, ppl="demo", ppl_samples=2)
    assert result.perplexities["demo"].dense is None
    assert "which is gone" in result.remark


def test_a_missed_gate_says_by_how_much_and_a_held_one_nothing(tiny_model, tmp_path):
    given = {**QUICK, "remove": [2], "workdir": tmp_path}
    model = str(tiny_model("llama3"))
    prunekit.evaluate(model, max_ppl_ratio=1e9, min_accuracy=0.0, **given)
    with pytest.raises(GateMissed) as missed:
        prunekit.evaluate(model, max_ppl_ratio=0.01, min_accuracy=1.0, **given)
    assert missed.value.exit_status == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tasks": "piqua"}, "piqua"),
        ({"tasks": "commonsense"}, "hellaswag.*boolq"),
        ({"ppl": "wikitext3"}, "wikitext3"),
        ({"ppl": "nowhere.txt"}, "nowhere.txt"),
        ({"remove": [8], "ppl": "demo"}, "no such block: 8"),
        ({"ppl": "demo", "limit": 0}, "limit: expected a number from 1"),
        ({"ppl": "demo", "min_accuracy": 0.5}, "add --tasks"),
        ({"ppl": "demo", "min_accuracy": 2.0}, "expected 0 to 1"),
    ],
)
def test_what_cannot_be_done_is_named(tiny_model, tmp_path, given, message):
    given = {"remove": [1], "ppl_samples": 2, **given}
    with pytest.raises(ConfigError, match=message):
        prunekit.evaluate(str(tiny_model("llama3")), workdir=tmp_path / "work", **given)
