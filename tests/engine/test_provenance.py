"""`prunekit.json` and the card say how a checkpoint was made, and nothing of the machine."""

import json
import shutil

import pytest

import prunekit
from prunekit.core.errors import ConfigError
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


@pytest.fixture
def twice(private, tmp_path):
    """A model of 8 blocks, the same without 1 and 4, and that without its 0 and 2."""
    first = prunekit.export(str(private / "model"), remove=[1, 4], to=private / "once")
    return first, prunekit.export(str(first), remove=[0, 2], to=private / "twice")


def test_what_was_removed_before_is_kept_in_numbers_of_the_first_model(twice, private):
    once, pruned = (json.loads((folder / "prunekit.json").read_text()) for folder in twice)
    assert (once["before"], once["removed_of_first"]) == ([], [1, 4])
    (step,) = pruned["before"]
    assert (step["model"], step["blocks"], step["removed"]) == ("model", 8, [1, 4])
    assert (pruned["model"], pruned["removed"]) == ("once", [0, 2])
    assert pruned["removed_of_first"] == [0, 1, 3, 4]
    whole = prunekit.export(str(private / "model"), remove=[0, 1, 3, 4], to=private / "at-once")
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, twice[1])]
    assert weights[0] == weights[1]


def test_a_third_removal_keeps_both_before_it(twice, private):
    to = prunekit.export(str(twice[1]), remove=[3], to=private / "thrice")
    record = json.loads((to / "prunekit.json").read_text())
    assert [step["removed"] for step in record["before"]] == [[1, 4], [0, 2]]
    assert record["removed_of_first"] == [0, 1, 3, 4, 7]
    card = (to / "README.md").read_text()
    assert "Removed before, from `model`: blocks 1,4 of 8." in card
    assert "Removed before, from `once`: blocks 0,2 of 6." in card
    assert "In all, `model` without its blocks 0,1,3,4,7." in card


def test_a_search_that_chose_the_blocks_before_is_named(private, tmp_path):
    given = {"searcher": "one-shot", "ppl": {"data": str(private / "text.txt"), **SHORT}}
    first = private / "once"
    prunekit.search(str(private / "model"), **given, save=first, workdir=private / "work")
    to = prunekit.export(str(first), remove=[0], to=private / "twice")
    (step,) = json.loads((to / "prunekit.json").read_text())["before"]
    assert (step["searcher"], step["objective"]) == ("one-shot", "ppl")
    assert "chosen by `one-shot` with `ppl`" in (to / "README.md").read_text()


def test_a_model_that_got_other_blocks_since_has_no_line(twice, private):
    record = json.loads((twice[0] / "prunekit.json").read_text())
    record.update(blocks=9, kept=[0, 2, 3, 5, 6, 7, 8])
    (twice[0] / "prunekit.json").write_text(json.dumps(record))
    to = prunekit.export(str(twice[0]), remove=[2], to=private / "other")
    assert json.loads((to / "prunekit.json").read_text())["before"] == []


@pytest.mark.parametrize(
    "before", [3, [{}], [{"model": "m", "weights": "w", "blocks": 7, "removed": [1]}]]
)
def test_a_line_that_cannot_be_is_refused(twice, private, before):
    record = json.loads((twice[1] / "prunekit.json").read_text())
    (twice[1] / "prunekit.json").write_text(json.dumps({**record, "before": before}))
    with pytest.raises(ConfigError, match=r"prunekit.json: .*; export the model again"):
        prunekit.export(str(twice[1]), remove=[2], to=private / "other")


def test_a_record_of_an_earlier_version_has_none(twice, private):
    record = json.loads((twice[0] / "prunekit.json").read_text())
    del record["before"], record["removed_of_first"]
    (twice[0] / "prunekit.json").write_text(json.dumps(record))
    to = prunekit.export(str(twice[0]), remove=[2], to=private / "other")
    assert json.loads((to / "prunekit.json").read_text())["removed_of_first"] == [1, 3, 4]


def test_an_evaluation_says_what_its_dense_model_lacks(twice, private):
    given = {"ppl": str(private / "text.txt"), "ppl_samples": 2, "ppl_length": 24}
    for model, more in ((twice[1], {}), (twice[0], {"remove": [2]})):
        result = prunekit.evaluate(str(model), **given, **more, workdir=private / "work")
        assert f"compared with {twice[0]}, which was pruned before" in result.remark
        assert "lacks blocks 1,4 of model" in result.remark
    assert not prunekit.evaluate(str(twice[0]), **given, workdir=private / "work").remark
