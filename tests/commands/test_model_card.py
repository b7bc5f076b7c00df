"""The model card of an exported checkpoint."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

import prunekit
import prunekit.cli.main
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.plugins.commands.export.model_card import BEGIN, END, model_card

OLD = """---
license: llama3
language: en
tags:
- chat
model-index:
- name: x
  results:
  - task: {type: text-generation}
    dataset: {type: a, name: A}
    metrics: [{type: acc, value: 0.9}]
---

# A model

It is good.
"""
RECORD = {
    "model": "owner/name",
    "weights": "owner/name@0123abc",
    "blocks": 8,
    "removed": [2, 5],
    "kept": [0, 1, 3, 4, 6, 7],
    "parameters": 1000,
    "parameters_removed": 250,
    "versions": {"prunekit": "0.1.0"},
    "search": None,
}


def copy_of(folder, to, card=None):
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    if card is not None:
        (to / "README.md").write_text(card)
    return to


def test_a_card_says_which_blocks_are_gone_and_how_they_were_chosen(quick, tmp_path):
    result = prunekit.search(searcher="one-shot", save=tmp_path / "pruned", **quick)
    text = (tmp_path / "pruned" / "README.md").read_text()
    assert ModelCard(text).data.tags == ["prunekit", "depth-pruning"]
    assert f"blocks {','.join(map(str, result.removed))}, counted from 0" in text
    assert "`one-shot` with the objective `ppl`, seed 0, from 8 subsets" in text
    assert f"| dense | {result.dense.loss:.4f} |" in text
    assert f"read back with transformers {result.versions['transformers']}" in text
    assert "on 24 tokens the logits are those with the blocks bypassed" in text
    change = result.difference
    assert f"{change.value:+.4f} ± {change.standard_error:.4f}" in text
    assert result.versions["transformers"] in text
    assert str(quick["workdir"]) not in text


def test_what_was_evaluated_of_a_run_comes_along(quick, tmp_path):
    run = prunekit.search(searcher="one-shot", **quick).run
    (tmp_path / "king.txt").write_text("Once upon a time there was a king. " * 20)
    found = prunekit.evaluate(
        run=run,
        ppl=f"demo,{tmp_path / 'king.txt'}",
        ppl_samples=3,
        ppl_length=40,
        tasks="demo",
        limit=8,
        workdir=quick["workdir"],
    )
    to = prunekit.export(run=run, to=tmp_path / "pruned")
    text = (to / "README.md").read_text()
    row, task = found.perplexities["demo"], found.tasks["demo"]
    change = f"{row.difference:+.2f} ± {row.standard_error:.2f}"
    values = f"{row.dense:.2f} | {row.pruned:.2f} | {change}"
    assert f"| demo perplexity, {row.record['tokens']} tokens | {values} |" in text
    assert f"| demo acc_norm, 8 items | {task.dense:.4f} | {task.pruned:.4f} |" in text
    assert "| king.txt perplexity, " in text
    assert str(tmp_path) not in text
    kept = Path(run, "evaluation.json").read_text()
    for place in (tmp_path, Path(quick["model"]).parent):
        kept = kept.replace(f"{place}/", "")
    assert prunekit.show(to).record["evaluation"] == json.loads(kept)


def test_its_command_repeats_the_search(quick, tmp_path, monkeypatch):
    given = {**quick, "seed": 3, "genetic": {"population": 4, "generations": 2}}
    result = prunekit.search(searcher="genetic", **given, save=tmp_path / "a")
    (command,) = re.findall(r"```sh\n(.*)\n```", (tmp_path / "a" / "README.md").read_text())
    assert "--genetic.population 4 --genetic.generations 2" in command
    assert "--genetic.elite" not in command
    monkeypatch.chdir(tmp_path)
    (tmp_path / quick["model"].split("/")[-1]).symlink_to(quick["model"])
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit, match="0"):
        prunekit.cli.main.main()
    again = (tmp_path / "pruned" / "README.md").read_text()
    assert f"Removed: blocks {','.join(map(str, result.removed))}," in again


def test_the_card_of_the_source_is_kept_but_not_its_scores(tiny_model, tmp_path):
    source = copy_of(tiny_model(), tmp_path / "source", OLD)
    card = ModelCard.load(
        prunekit.export(str(source), remove=[1, 4], to=tmp_path / "a") / "README.md"
    )
    assert (card.data.license, card.data.tags) == ("llama3", ["chat", "prunekit", "depth-pruning"])
    assert card.data.eval_results is None
    assert "# A model\n\nIt is good." in card.text
    assert card.text.index("without 2 of its 8") < card.text.index("# A model")


def test_a_second_pruning_replaces_the_section(tiny_model, tmp_path):
    source = copy_of(tiny_model(), tmp_path / "source", OLD)
    first = prunekit.export(str(source), remove=[1, 4], to=tmp_path / "a")
    text = (prunekit.export(str(first), remove=[2], to=tmp_path / "b") / "README.md").read_text()
    assert (text.count(BEGIN), text.count(END), text.count("What follows")) == (1, 1, 1)
    assert "`a` without 1 of its 6" in text
    assert "Removed before, from `source`: blocks 1,4 of 8." in text
    assert "In all, `source` without its blocks 1,3,4." in text
    assert "It is good." in text


@pytest.mark.parametrize("broken", ["---\na: [\n---\ntext\n", "---\njust words\n---\ntext\n"])
def test_front_matter_that_cannot_be_read_is_kept_as_text(tiny_model, tmp_path, broken):
    source = copy_of(tiny_model(), tmp_path / "source", broken)
    text = (prunekit.export(str(source), remove=[1], to=tmp_path / "a") / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["tags"] == ["prunekit", "depth-pruning"]
    assert broken.strip() in text


def test_a_model_from_the_hub_is_the_base_model_at_its_commit(tmp_path):
    text = model_card(RECORD, None, tmp_path)
    assert ModelCard(text).data.base_model == "owner/name"
    assert "--model owner/name --remove 2,5 --revision 0123abc --to pruned" in text


@pytest.mark.parametrize("model", ["/a/folder", "demo:qwen3"])
def test_what_is_not_on_the_hub_is_no_base_model(tmp_path, model):
    """The hub refuses a card whose `base_model` is no name of a model."""
    text = model_card({**RECORD, "model": model, "weights": "0123abc"}, None, tmp_path)
    assert ModelCard(text).data.base_model is None
    assert "/a/" not in text


ODD = [
    f"m\n{END}\n<script>alert(1)",
    "m`<b><img src=x>`` ```\n```\n# x",
    "m | a\n| b |\n---\nlicense: mit\n---\n",
]


def shown(text):
    """Return the tags of a page and the text in its fences, by markdown-it."""
    tokens = MarkdownIt("commonmark").enable("table").parse(ModelCard(text).text)
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in [*tokens, *inline]} & {"html_inline"} == set()
    comments = [token.content.strip() for token in tokens if token.type == "html_block"]
    fences = [token.content for token in tokens if token.type == "fence"]
    rows = [token.type for token in tokens].count("tr_open")
    return (
        comments,
        fences,
        rows,
        [token.content for token in inline if token.type == "code_inline"],
    )


@pytest.mark.parametrize("name", ODD)
def test_a_name_stays_within_its_place_on_the_card(tiny_model, tmp_path, name):
    source = copy_of(tiny_model(), tmp_path / name, OLD)
    first = prunekit.export(str(source), remove=[1, 4], to=tmp_path / "a")
    text = (first / "README.md").read_text()
    comments, (_, command), rows, (code, *_) = shown(text)
    assert (comments, rows) == ([BEGIN, END], 0)
    assert code == name.replace("\n", "\\n")
    data = ModelCard(text).data
    assert (data.license, data.base_model) == ("llama3", None)
    read = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True)
    assert read.stdout.split(b"\0")[3] == name.encode()
    again = (prunekit.export(str(first), remove=[2], to=tmp_path / "b") / "README.md").read_text()
    assert again.count("# A model\n\nIt is good.") == 1
    comments, _, rows, codes = shown(again)
    assert (comments, rows) == ([BEGIN, END], 0)
    assert name.replace("\n", "\\n") in codes


@pytest.mark.parametrize("words", ["a|b\n| c", "<img src=x>", f"`{END}`"])
def test_words_of_plugins_and_files_stay_within_their_cells(tmp_path, words):
    reading = {"loss": -1.5, "readings": {words: 2.0}}
    search = {
        "searcher": words,
        "objective": words,
        "unit": words,
        "seed": words,
        "dense": reading,
        "pruned": reading,
        "difference": {"value": -0.5, "standard_error": None},
        "work": {"asked": 3},
    }
    row = {"dense": 1.0, "pruned": 2.0, "difference": 1.0, "standard_error": None}
    row |= {"name": f"{words}=a/{words}", "metric": words, "higher_is_better": False}
    row |= {"of": ["dense", "pruned"], "record": {"tokens": 5}}
    evaluation = {"perplexities": {"x": [row]}, "tasks": {}}
    record = {**RECORD, "search": search, "evaluation": evaluation, "versions": {words: words}}
    config = parse({"model": "demo", "ppl": {"data": f"{words}.txt"}}, load())
    text = model_card(record, config, tmp_path)
    comments, (_, command), rows, _ = shown(text)
    assert (comments, rows) == ([BEGIN, END], 4 + 2)
    assert command.startswith("prunekit search --model owner/name")
    assert "| dense | -1.5000 |" in text
