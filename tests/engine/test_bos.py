"""The beginning-of-text token is recorded in results, and reported if it matters."""

import json
import shutil

import pytest
import torch

from prunekit.core.spec import Spec
from prunekit.engine import bos
from prunekit.engine.result import read_result
from prunekit.hf.loading import load_adapter
from prunekit.plugins.objectives.margin import Margin
from prunekit.plugins.objectives.perplexity import Perplexity

SMALL = ("--ppl.data", "demo", "--ppl.samples", 3, "--ppl.length", 12, "--budget", 1)


@pytest.fixture
def beginning(tiny_model, llama_like, tmp_path):
    """A model whose tokenizer puts a token before every text."""
    folder = tmp_path / "beginning"
    shutil.copytree(tiny_model(n_blocks=2), folder)
    llama_like.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(registry):
    return load_adapter(Spec("demo:qwen3", device="cpu", dtype="float32"), registry)


@torch.no_grad()
def naive(adapter, samples, first, dropped):
    """Nats per token of rows with `first` before them, the token that `dropped` says left out."""
    total = count = 0
    for sample in samples:
        for ids, targets in zip(sample["input_ids"], sample["targets"], strict=True):
            ids, targets = ids[dropped].tolist(), targets[dropped].tolist()
            logits = adapter.model(torch.tensor([first + ids])).logits[0, len(first) :]
            for row, target in zip(logits.log_softmax(-1), targets, strict=True):
                if target >= 0:
                    total, count = total - row[target].item(), count + 1
    return total / count


@pytest.mark.parametrize("how", ["every", "none"])
@pytest.mark.parametrize("kind", [Perplexity, Margin])
def test_the_losses_with_and_without_are_those_of_the_model_itself(
    adapter, demo_tokenizer, monkeypatch, kind, how
):
    monkeypatch.setattr(bos, "MUCH", 0.0)
    objective = kind(data="demo", samples=2, add_bos=how)
    samples = objective.calibration_set(demo_tokenizer)
    dropped = slice(1, None) if how == "every" else slice(None, -1)
    with_it = naive(adapter, samples, [demo_tokenizer.bos_token_id], dropped)
    without = naive(adapter, samples, [], dropped)
    line = bos.remark_on_bos(adapter, objective, samples, demo_tokenizer)
    assert f"loses {with_it:.2f} nats per token with it and {without:.2f} without" in line
    assert line.startswith(f"{objective.name}: samples begin with{'' if how == 'every' else 'out'}")
    worse = (with_it > without) if how == "every" else (with_it < without)
    other = {"every": "none", "none": "every"}[how]
    assert line.endswith(f"; try --{objective.name}.add-bos {other}") == worse


@pytest.mark.parametrize("kind", [Perplexity, Margin])
def test_a_model_that_does_not_depend_on_it_gives_no_remark(adapter, demo_tokenizer, kind):
    objective = kind(data="demo", samples=4)
    samples = objective.calibration_set(demo_tokenizer)
    assert bos.remark_on_bos(adapter, objective, samples, demo_tokenizer) == ""


def test_the_result_tells_with_what_samples_began(prunekit, beginning, tmp_path):
    status, out, _ = prunekit("search", "--model", beginning, "--searcher", "one-shot", *SMALL)
    assert status == 0
    assert "calibrated with <|endoftext|> at the beginning of every sample" in out
    (run,) = (tmp_path / "prunekit-runs" / "runs").iterdir()
    assert read_result(run)["begins_with"] == "<|endoftext|>"


def test_a_result_that_does_not_tell_is_read_all_the_same(prunekit, tiny_model, tmp_path):
    model = tiny_model(n_blocks=2)
    _, out, _ = prunekit("search", "--model", model, "--searcher", "one-shot", *SMALL)
    assert "at the beginning of every sample" not in out
    (run,) = (tmp_path / "prunekit-runs" / "runs").iterdir()
    row = read_result(run)
    del row["begins_with"]
    (run / "result.json").write_text(json.dumps(row))
    assert read_result(run) == row


def test_the_remark_is_made_once_before_the_search_and_not_where_it_is_to_be_quiet(
    prunekit, beginning, monkeypatch
):
    monkeypatch.setattr(bos, "MUCH", -1.0)
    command = ("search", "--model", beginning, *SMALL)
    assert "ppl: samples begin with <|endoftext|>; the dense" in prunekit(*command)[2]
    assert "samples begin" not in prunekit(*command)[2]
    assert "samples begin" in prunekit(*command, "--ppl.add-bos", "none")[2]
    assert prunekit(*command, "--ppl.seed", 1, "--quiet")[2] == ""


def test_an_evaluation_begins_its_windows_and_prompts_alike(prunekit, beginning, llama_like):
    from prunekit.plugins.commands.evaluate.perplexity import cut
    from prunekit.plugins.commands.evaluate.texts import PROTOCOLS

    windows = cut(PROTOCOLS["demo"], llama_like, 128)
    assert windows.record["begins_with"] == "<|endoftext|>"
    assert {sample["input_ids"][0, 0].item() for sample in windows.samples} == {0}


@pytest.mark.parametrize("name", ["llama_like", "demo_tokenizer"])
def test_tasks_of_lm_eval_begin_prompts_as_windows_begin(adapter, request, name):
    from prunekit.hf import first_tokens
    from prunekit.plugins.commands.evaluate.harness import language_model

    tokenizer = request.getfixturevalue(name)
    lm = language_model()(adapter.model, tokenizer, True, 1, print)
    first = first_tokens(tokenizer, "auto", "")
    plain = tokenizer("The king had", add_special_tokens=False).input_ids
    assert lm.tok_encode("The king had") == first + plain
    assert lm._encode_pair("The king", " had")[0][: len(first) + 1] == first + plain[:1]
