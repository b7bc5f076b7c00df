"""Evaluations: a pruned model beside the dense one, with the numbers of stock transformers."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import prunekit
import prunekit.plugins.commands.evaluate.target as targets
from prunekit.core import CheckpointError, ConfigError
from prunekit.plugins.commands.evaluate.gate import GateMissed

QUICK = {"ppl": "demo", "tasks": "demo", "limit": 4, "ppl_samples": 3, "dtype": "float32"}
STORY = "Once upon a time there was a king who had three sons. "
TEXTS = [STORY * 9, STORY * 4, STORY * 15]


@torch.no_grad()
def naive_perplexity(folder, texts, length, stride, joined):
    """By the book: full logits of one window at a time, sums in float64."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    total = count = 0
    for text in ["\n\n".join(texts)] if joined else texts:
        ids = tokenizer(text).input_ids
        starts = range(0, len(ids) - length + 1, stride) if joined else [0]
        for start in starts:
            window = torch.tensor([ids[start : start + length]])
            logprobs = model(input_ids=window).logits.log_softmax(-1)
            chosen = logprobs[0, :-1].gather(-1, window[0, 1:, None])[:, 0]
            new = chosen[-stride:] if joined and start else chosen
            total, count = total - new.double().sum().item(), count + len(new)
    return math.exp(total / count)


@pytest.mark.parametrize(
    ("name", "length", "stride"), [("", 48, 48), ("", 48, 12), ("lambada=", 64, 1)]
)
def test_a_perplexity_is_that_of_a_loop_over_stock_transformers(
    tiny_model, tmp_path, name, length, stride
):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    joined = not name
    model = str(tiny_model("qwen3"))
    result = prunekit.evaluate(
        model,
        remove=[1, 4],
        ppl=f"{name}{path}",
        ppl_length=length,
        ppl_stride=stride if joined else None,
        workdir=tmp_path / "work",
        dtype="float32",
        device="cpu",
        tokens_per_forward=150,
    )
    (row,) = result.perplexities.values()
    pruned = prunekit.export(model, remove=[1, 4], to=tmp_path / "pruned")
    expected = [naive_perplexity(f, TEXTS, length, stride, joined) for f in (model, pruned)]
    assert [row.dense, row.pruned] == pytest.approx(expected, rel=1e-6)
    assert row.difference == row.pruned - row.dense
    assert row.standard_error > 0


def test_errors_are_over_the_same_windows_and_items(tiny_model, tmp_path):
    from prunekit.plugins.commands.evaluate.scores import TaskScore

    given = {**QUICK, "limit": 40, "workdir": tmp_path, "remove": [3]}
    result = prunekit.evaluate(str(tiny_model("llama3")), **given)
    stored = [json.loads(path.read_text()) for path in tmp_path.glob("evaluations/*/*/*.json")]
    items = {len(row["removed"]): row["items"] for row in stored if "items" in row}
    gaps = torch.tensor(items[1], dtype=float) - torch.tensor(items[0], dtype=float)
    error = (gaps.std() / math.sqrt(40)).item()
    assert result.tasks["demo"].standard_error == pytest.approx(error, abs=1e-12)
    sums = {len(row["removed"]): row["sums"] for row in stored if "sums" in row}
    weights = next(row["weights"] for row in stored if "sums" in row)
    without = [
        [math.exp((sum(s) - s[i]) / (sum(weights) - weights[i])) for i in range(3)]
        for s in (sums[0], sums[1])
    ]
    gaps = torch.tensor(without[1], dtype=float) - torch.tensor(without[0], dtype=float)
    error = (gaps.std(correction=0) * math.sqrt(2)).item()
    assert result.perplexities["demo"].standard_error == pytest.approx(error, rel=1e-9)
    assert TaskScore("x", "acc", 0.5, True, (0.0, 1.0), {}).standard_error == 0.5


@pytest.fixture
def beside(tiny_model, tmp_path):
    """A model in the folder in which its exports are written."""
    return shutil.copytree(tiny_model("llama3"), tmp_path / "model")


def test_a_pruned_checkpoint_is_set_beside_the_model_it_was_made_of(beside, tmp_path):
    model = str(beside)
    pruned = prunekit.export(model, remove=[2, 3], to=tmp_path / "pruned")
    work = tmp_path / "work"
    result = prunekit.evaluate(str(pruned), workdir=work, **QUICK)
    same = prunekit.evaluate(model, remove=[2, 3], workdir=work, **QUICK)
    assert (result.model, result.removed, result.remark) == (model, (2, 3), "")
    assert result.perplexities["demo"].pruned == pytest.approx(
        same.perplexities["demo"].pruned, rel=1e-6
    )
    assert result.perplexities["demo"].dense == same.perplexities["demo"].dense
    assert result.tasks["demo"].difference == same.tasks["demo"].difference


def test_the_dense_model_is_evaluated_in_the_dtype_of_the_pruned_one(beside, tmp_path):
    pruned = prunekit.export(str(beside), remove=[2], to=tmp_path / "pruned", dtype="float16")
    prunekit.evaluate(str(pruned), workdir=tmp_path, ppl="demo", ppl_samples=2, dtype="float16")
    stored = [json.loads(path.read_text()) for path in tmp_path.glob("evaluations/*/*/*.json")]
    assert [row["model"]["dtype"] for row in stored] == ["float16"] * 2


@pytest.mark.parametrize(
    ("record", "remark"),
    [
        ({"model": "gone"}, "no folder gone is beside it or here"),
        ({"weights": "other"}, "has other weights than it was made from"),
        ({"model": "demo:gone"}, "it is gone: no model is called 'gone'"),
    ],
)
def test_without_its_dense_model_a_checkpoint_is_evaluated_alone(beside, tmp_path, record, remark):
    pruned = prunekit.export(str(beside), remove=[2], to=tmp_path / "pruned")
    path = pruned / "prunekit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **record}))
    result = prunekit.evaluate(str(pruned), workdir=tmp_path, ppl="demo", ppl_samples=2)
    row = result.perplexities["demo"]
    assert (row.of, row.dense, row.difference) == (("pruned",), None, None)
    assert row.value == row.pruned > 0
    assert remark in result.remark
    with pytest.raises(ConfigError, match="no dense model to compare with"):
        prunekit.evaluate(str(pruned), workdir=tmp_path, ppl="demo", max_ppl_ratio=2)


def test_a_model_from_which_nothing_is_missing_is_evaluated_alone(tiny_model, tmp_path):
    result = prunekit.evaluate(str(tiny_model("llama3")), workdir=tmp_path, **QUICK)
    assert result.perplexities["demo"].of == ("dense",)
    assert "nothing to compare with" in result.remark
    with pytest.raises(GateMissed, match="mean accuracy"):
        prunekit.evaluate(str(tiny_model("llama3")), workdir=tmp_path, min_accuracy=1.0, **QUICK)


def test_a_model_of_the_hub_is_compared_at_the_commit_it_was_pruned_from(
    tiny_model, tmp_path, monkeypatch
):
    pruned = prunekit.export(str(tiny_model("llama3")), remove=[2], to=tmp_path / "pruned")
    path = pruned / "prunekit.json"
    record = {"model": "owner/name", "weights": "owner/name@0123abc"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **record}))
    asked = []

    class Found:
        def identity(self):
            return record["weights"]

    def find(spec, registry):
        asked.append(spec)
        return Found()

    monkeypatch.setattr(targets, "find", find)
    target = targets.find_target(str(pruned), None, None, tmp_path, {"revision": "main"})
    assert (target.origin.model, target.origin.revision) == ("owner/name", "0123abc")
    assert asked == [target.origin]


def test_a_run_may_be_evaluated_in_another_dtype_but_is_no_other_model(quick):
    run = prunekit.search(searcher="one-shot", **quick).run
    given = {"run": run, "workdir": quick["workdir"], "ppl": "demo", "ppl_samples": 2}
    assert prunekit.evaluate(**given, dtype="bfloat16").fingerprint["dtype"] == "bfloat16"
    with pytest.raises(ConfigError, match="adapter: a run knows this itself"):
        prunekit.evaluate(**given, adapter="llama3")


def test_weights_that_have_changed_are_no_longer_the_run(quick, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(quick["model"], model)
    run = prunekit.search(searcher="one-shot", **{**quick, "model": str(model)}).run
    tensors = load_file(model / "model.safetensors")
    save_file({k: v * 2 for k, v in tensors.items()}, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match="no longer the model that was searched"):
        prunekit.evaluate(run=run, workdir=quick["workdir"], ppl="demo", ppl_samples=2)


def test_a_demo_has_its_own_data_and_another_model_wikitext(tiny_model, tmp_path):
    from prunekit.plugins.commands.evaluate.evaluate import config_of

    demo = prunekit.export("demo", remove=[2], to=tmp_path / "pruned")
    for name in ("demo", "demo:llama3", str(demo)):
        config = config_of(targets.find_target(name, None, None, "", {}), "", "", {})
        assert (config.perplexities, config.tasks) == (("demo",), ("demo",))
    target = targets.find_target(str(tiny_model("llama3")), None, None, "", {})
    assert config_of(target, "", "", {}).perplexities == ("wikitext2",)
    assert config_of(target, "", "piqa", {}).perplexities == ()


def test_a_missed_gate_says_by_how_much_and_what_was_found(tiny_model, tmp_path):
    given = {**QUICK, "remove": [2], "workdir": tmp_path}
    model = str(tiny_model("llama3"))
    held = prunekit.evaluate(model, max_ppl_ratio=1e9, min_accuracy=0.0, **given)
    with pytest.raises(GateMissed, match="perplexity on demo .* 0.01; accuracy on demo") as missed:
        prunekit.evaluate(model, max_ppl_ratio=0.01, min_accuracy={"demo": 1.0}, **given)
    assert missed.value.result == held


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tasks": "piqua"}, "piqua is not a task of lm-eval"),
        ({"tasks": "commonsense"}, "hellaswag.*boolq"),
        ({"ppl": "wikitext3"}, "wikitext3"),
        ({"ppl": "nowhere.txt"}, "nowhere.txt"),
        ({"ppl": "demo,,c4"}, "expected names with commas between them"),
        ({"remove": [8], "ppl": "demo"}, "no such block: 8"),
        ({"remove": [], "ppl": "demo"}, "names no block"),
        ({"run": "nothing"}, "give either a run, as --run NAME, or the blocks"),
        ({"ppl": "demo", "limit": 0}, "limit: 0 is outside 1"),
        ({"ppl": "demo", "ppl_lenght": 3}, "ppl_lenght: no such key"),
        ({"ppl": "demo", "min_accuracy": 0.5}, "add --tasks"),
        ({"ppl": "demo", "min_accuracy": 2.0}, "expected 0 to 1"),
    ],
)
def test_what_cannot_be_done_is_named(tiny_model, tmp_path, given, message):
    given = {"remove": [1], "ppl_samples": 2, **given}
    with pytest.raises((ConfigError, CheckpointError), match=message):
        prunekit.evaluate(str(tiny_model("llama3")), workdir=tmp_path / "work", **given)
    assert not Path(tmp_path, "work").exists()


def test_a_changed_model_is_set_beside_its_baseline(tiny_model, tmp_path):
    original, healed = str(tiny_model("qwen3")), tmp_path / "healed"
    shutil.copytree(original, healed)
    weights = load_file(healed / "model.safetensors")
    weights["model.norm.weight"] *= 1.5
    save_file(weights, healed / "model.safetensors", metadata={"format": "pt"})
    given = {**QUICK, "workdir": tmp_path / "work"}
    both = prunekit.evaluate(str(healed), baseline=original, **given)
    alone = [prunekit.evaluate(model, **given) for model in (original, str(healed))]
    row = both.perplexities["demo"]
    assert (row.dense, row.pruned) == tuple(r.perplexities["demo"].dense for r in alone)
    assert row.difference == row.pruned - row.dense
    assert row.standard_error > 0
    assert (both.model, both.baseline, both.removed) == (str(healed), original, ())
    with pytest.raises(GateMissed, match="times the dense one"):
        prunekit.evaluate(str(healed), baseline=original, max_ppl_ratio=0.001, **given)


@pytest.mark.parametrize("given", [{"remove": [1]}, {"run": "some-run"}, {"model": None}])
def test_a_baseline_is_for_a_model_as_it_is(tiny_model, given):
    with pytest.raises(ConfigError, match="--baseline compares --model as it is"):
        prunekit.evaluate(**{"model": str(tiny_model()), **given}, baseline="demo")


def test_a_checkpoint_that_was_changed_since_is_not_passed_off_as_the_pruned_one(
    tiny_model, tmp_path
):
    model, pruned = str(tiny_model("qwen3")), tmp_path / "pruned"
    prunekit.export(model, remove=[1], to=pruned)
    given = {**QUICK, "workdir": tmp_path / "work"}
    assert "changed" not in prunekit.evaluate(str(pruned), **given).remark
    weights = load_file(pruned / "model.safetensors")
    weights["model.norm.weight"] *= 1.5
    save_file(weights, pruned / "model.safetensors", metadata={"format": "pt"})
    healed = prunekit.evaluate(str(pruned), **given)
    assert healed.remark.startswith(f"{pruned} was changed since prunekit wrote it")


def test_a_column_of_a_file_is_named(tiny_model, tmp_path):
    given = {"dtype": "float32", "workdir": tmp_path / "work", "ppl_length": 32}
    for name, column in (("plain", "text"), ("story", "story")):
        rows = [json.dumps({column: text, "note": "not this"}) + "\n" for text in TEXTS]
        (tmp_path / f"{name}.jsonl").write_text("".join(rows))
    model, paths = str(tiny_model()), [str(tmp_path / f"{n}.jsonl") for n in ("plain", "story")]
    plain = prunekit.evaluate(model, ppl=paths[0], **given).perplexities[paths[0]]
    named = prunekit.evaluate(model, ppl=paths[1], ppl_column="story", **given)
    assert named.perplexities[paths[1]].dense == plain.dense
    with pytest.raises(ConfigError, match="name it with --ppl-column"):
        prunekit.evaluate(model, ppl=paths[1], **given)
    with pytest.raises(ConfigError, match="--ppl-column: demo has no column 'story' to choose"):
        prunekit.evaluate(model, ppl="demo", ppl_column="story", **given)
