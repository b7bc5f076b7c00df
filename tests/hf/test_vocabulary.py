"""Tokens that the tokenizer has and the model does not are named before anything is measured."""

import shutil

import pytest
from transformers import AutoTokenizer

import prunekit
from prunekit.core.errors import ConfigError

TEXT = "It rained <new> all day, and nobody went out for a walk. " * 40


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "own.txt").write_text(TEXT)
    return str(tmp_path / "own.txt")


@pytest.fixture
def grown(tiny_model, tmp_path):
    """A model to whose tokenizer a token was added, without resizing the embedding."""
    folder = shutil.copytree(tiny_model(n_blocks=4), tmp_path / "grown")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.add_tokens(["<new>"]) == 1
    tokenizer.save_pretrained(folder)
    return str(folder)


def the_line(call):
    with pytest.raises(ConfigError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    return line


def expect_named(line, size):
    assert f"the token '<new>' with id {size:,}, but the model's vocabulary has {size:,}" in line
    assert "resize_token_embeddings" in line


def test_a_search_names_a_token_that_the_model_lacks(grown, texts, tmp_path, demo_tokenizer):
    ppl = {"data": texts, "length": 32, "samples": 2}
    line = the_line(lambda: prunekit.search(grown, ppl=ppl, workdir=tmp_path / "runs"))
    expect_named(line, len(demo_tokenizer))
    assert not (tmp_path / "runs" / "journals").exists()


def test_an_evaluation_on_a_text_names_it(grown, texts, tmp_path, demo_tokenizer):
    line = the_line(lambda: prunekit.evaluate(grown, ppl=texts, workdir=tmp_path / "runs"))
    expect_named(line, len(demo_tokenizer))


def test_an_evaluation_on_a_task_names_it(grown, tmp_path, demo_tokenizer):
    items = tmp_path / "items.jsonl"
    items.write_text('{"q": "It rained <new>", "choices": [" a lot", " never"], "gold": 0}\n' * 3)
    (tmp_path / "own.yaml").write_text(
        "task: own\ndataset_path: json\ndataset_kwargs:\n  data_files:\n"
        f"    validation: {items}\nvalidation_split: validation\noutput_type: multiple_choice\n"
        "doc_to_text: '{{q}}'\ndoc_to_choice: '{{choices}}'\ndoc_to_target: '{{gold}}'\n"
        "metric_list:\n  - metric: acc\n"
    )
    line = the_line(
        lambda: prunekit.evaluate(
            grown, tasks="own", include_path=tmp_path, workdir=tmp_path / "runs"
        )
    )
    expect_named(line, len(demo_tokenizer))


def test_a_tokenizer_that_knows_more_is_fine_while_no_text_uses_it(grown, tmp_path):
    (tmp_path / "plain.txt").write_text(TEXT.replace("<new> ", ""))
    ppl = {"data": str(tmp_path / "plain.txt"), "length": 32, "samples": 2}
    assert prunekit.search(grown, ppl=ppl, workdir=tmp_path / "runs").removed


def test_a_first_token_that_the_model_lacks_is_not_tried(tiny_model, tmp_path):
    """The effect of a beginning-of-text token is measured only where the model has one."""
    folder = shutil.copytree(tiny_model(n_blocks=4), tmp_path / "grown")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"bos_token": "<first>"})
    tokenizer.save_pretrained(folder)
    ppl = {"data": "demo", "length": 32, "samples": 2, "add_bos": "none"}
    assert prunekit.search(str(folder), ppl=ppl, workdir=tmp_path / "runs").removed
    line = the_line(
        lambda: prunekit.search(
            str(folder), ppl={**ppl, "add_bos": "every"}, workdir=tmp_path / "runs"
        )
    )
    assert "the token '<first>'" in line


ALIEN = """
import torch
from prunekit.core import Objective, hookimpl

class Alien(Objective):
    name, unit = "alien", "points"
    def calibration_set(self, tokenizer):
        ids = torch.full((1, 8), 5)
        targets = ids.clone()
        WHERE[0, 3] = 999_999
        return [{"input_ids": ids, "targets": targets}]
    def measure(self, output, batch):
        return -output.token_logprobs(batch.targets).sum(1), torch.ones(1)

@hookimpl
def prunekit_objectives():
    return [Alien]
"""


@pytest.mark.parametrize("where", ["ids", "targets"])
def test_ids_that_an_objective_makes_up_are_named(install, tiny_model, tmp_path, where):
    install("alien", ALIEN.replace("WHERE", where))
    line = the_line(
        lambda: prunekit.search(str(tiny_model()), objective="alien", workdir=tmp_path / "runs")
    )
    assert "gives the token id 999,999, which is neither" in line
    assert "objective 'alien'" in line
