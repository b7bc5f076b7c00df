"""`prunekit.json` and the card say how a checkpoint was made, and nothing of the machine."""

import json
import shutil

import pytest

import prunekit
from prunekit.engine.provenance import name_of

SHORT = {"samples": 2, "length": 24}


@pytest.fixture
def private(tiny_model, tmp_path):
    """Folders whose name no export may hold, with a model and a text."""
    place = tmp_path / "home-of-jo"
    place.mkdir()
    shutil.copytree(tiny_model(), place / "model")
    (place / "text.txt").write_text("Once upon a time there was a king. " * 60)
    return place


def written(folder):
    return {name: (folder / name).read_text() for name in ("prunekit.json", "README.md")}


def test_a_model_in_a_folder_is_given_by_its_name(private, tmp_path):
    to = prunekit.export(str(private / "model"), remove=[2], to=tmp_path / "pruned")
    assert json.loads((to / "prunekit.json").read_text())["model"] == "model"
    assert not [name for name, text in written(to).items() if "home-of-jo" in text]


def test_so_it_is_where_the_folder_was_typed_in_another_way(private, tmp_path, monkeypatch):
    monkeypatch.chdir(private / "model")
    for number, name in enumerate((".", "../model", str(private / "model") + "/")):
        to = prunekit.export(name, remove=[2], to=tmp_path / str(number))
        assert json.loads((to / "prunekit.json").read_text())["model"] == "model"


def test_run_data_and_evaluation_are_too(private, tmp_path):
    text = str(private / "text.txt")
    given = {"searcher": "one-shot", "ppl": {"data": text, **SHORT}}
    work = private / "work"
    run = prunekit.search(str(private / "model"), **given, workdir=work).run
    for ppl in (text, f"lambada={text}"):
        prunekit.evaluate(run=run, ppl=ppl, ppl_samples=2, ppl_length=24, workdir=work)
    to = prunekit.export(run=run, to=tmp_path / "pruned")
    record = json.loads((to / "prunekit.json").read_text())
    assert record["search"]["run"] == run.rpartition("/")[2]
    assert (record["config"]["model"], record["config"]["ppl"]["data"]) == ("model", "text.txt")
    assert set(record["evaluation"]["perplexities"]) == {"text.txt", "lambada=text.txt"}
    assert not [name for name, text in written(to).items() if str(private) in text]
    assert "--ppl.data text.txt" in (to / "README.md").read_text()


def test_what_is_no_path_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in ("owner/name", "demo:qwen3", "wikitext2", "nats per token", "a=b", "", "1.5"):
        assert name_of(word) == word
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name").mkdir()
    assert name_of("owner/name") == "name"
