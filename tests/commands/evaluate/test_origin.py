"""A checkpoint knows its dense model by name and weights; where it lies is looked for."""

import json
import shutil
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.spec import Spec
from prunekit.engine.provenance import read_provenance
from prunekit.hf.checkpoint import find
from prunekit.plugins.commands.evaluate import target
from prunekit.plugins.commands.evaluate.target import find_dense


@pytest.fixture
def made(tiny_model, tmp_path):
    """A model elsewhere, and an export of it: `dense_of(workdir)` is what is found for that."""
    (tmp_path / "elsewhere").mkdir()
    model = shutil.copytree(tiny_model(), tmp_path / "elsewhere" / "model")
    pruned = prunekit.export(str(model), remove=[2, 5], to=tmp_path / "exports" / "pruned")

    def dense_of(workdir=tmp_path):
        return find_dense(Spec(str(pruned)), read_provenance(pruned), workdir).model

    return model, pruned, dense_of


def test_it_may_lie_beside_the_checkpoint(made):
    model, pruned, dense_of = made
    (pruned.parent / "model").symlink_to(model)
    assert dense_of() == str(pruned.parent / "model")


def test_it_may_lie_where_the_command_is_typed(made, monkeypatch):
    model, _, dense_of = made
    monkeypatch.chdir(model.parent)
    assert dense_of() == "model"


def test_it_may_lie_where_the_run_had_it(made, tmp_path):
    model, _, _ = made
    search = {"searcher": "one-shot", "ppl": {"data": "demo", "samples": 2, "length": 24}}
    to = tmp_path / "saved"
    prunekit.search(str(model), **search, workdir=tmp_path / "work", save=to)
    record = read_provenance(to)
    assert find_dense(Spec(str(to)), record, tmp_path / "work").model == str(model)
    with pytest.raises(ConfigError, match="no folder model is beside it or here"):
        find_dense(Spec(str(to)), record, tmp_path)


def test_another_model_of_that_name_is_not_taken(made, tiny_model):
    _, pruned, dense_of = made
    shutil.copytree(tiny_model("qwen3"), pruned.parent / "model")
    with pytest.raises(ConfigError, match="model has other weights than it was made from"):
        dense_of()


def test_where_it_cannot_be_found_the_way_on_is_named(made):
    _, _, dense_of = made
    with pytest.raises(ConfigError, match="no folder model is beside .*FOLDER --remove 2,5"):
        dense_of()


@pytest.mark.parametrize("place", ["{}", "../elsewhere/model"])
def test_no_path_in_its_record_is_followed(made, monkeypatch, place):
    model, pruned, dense_of = made
    monkeypatch.chdir(pruned.parent)
    path = pruned / "prunekit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": place.format(model)}))
    with pytest.raises(ConfigError, match="no folder model is beside it or here"):
        dense_of()


@pytest.fixture
def opened(monkeypatch):
    """The places that were looked into, in order."""
    seen = []

    def look(spec, registry):
        seen.append(spec.model)
        return find(spec, registry)

    monkeypatch.setattr(target, "find", look)
    return seen


@pytest.mark.parametrize("place", ["{}", "elsewhere/model", "../{}", "~", "..", "", "."])
def test_a_path_is_no_name_on_the_hub_whatever_the_weights_are_called(
    made, monkeypatch, tmp_path, opened, place
):
    model, pruned, _ = made
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(model))
    place = place.format(model)
    record = {**read_provenance(pruned), "model": place, "weights": f"{place}@0123abc"}
    with pytest.raises(ConfigError, match="no folder"):
        find_dense(Spec(str(pruned)), record, tmp_path)
    assert opened == []


def test_a_name_on_the_hub_is_not_looked_for_in_a_folder_called_so(
    made, monkeypatch, tmp_path, opened
):
    _, pruned, _ = made
    monkeypatch.chdir(tmp_path)
    record = {**read_provenance(pruned), "model": "owner/name", "weights": "owner/name@0123abc"}
    with pytest.raises(ConfigError, match="it is gone: owner/name"):
        find_dense(Spec(str(pruned)), record, tmp_path)
    assert opened == ["owner/name"]
    (tmp_path / "owner" / "name").mkdir(parents=True)
    with pytest.raises(ConfigError, match="no folder name is beside it or here"):
        find_dense(Spec(str(pruned)), record, tmp_path)
    assert opened == ["owner/name"]


@pytest.mark.parametrize("run", ["..", ".", "../..", "", "/", "~", "here", "sub/here"])
def test_a_run_is_found_below_the_working_folder_only(made, monkeypatch, tmp_path, opened, run):
    """A folder of that name where the command is typed may be anybody's."""
    model, pruned, _ = made
    for folder in (tmp_path / "here", tmp_path, tmp_path / "work"):
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(f"model: {model}\n")
        (folder / "result.json").write_text("{}")
    (tmp_path / "work" / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(target, "read_run", lambda run, workdir: pytest.fail(f"reads {run}"))
    record = {**read_provenance(pruned), "search": {"run": run}}
    with pytest.raises(ConfigError, match="no folder model is beside it or here"):
        find_dense(Spec(str(pruned)), record, tmp_path / "work")
    assert opened == []


def test_a_folder_here_does_not_hide_the_run_of_that_name(made, monkeypatch, tmp_path):
    model, _, _ = made
    search = {"searcher": "one-shot", "ppl": {"data": "demo", "samples": 2, "length": 24}}
    to = tmp_path / "saved"
    run = prunekit.search(str(model), **search, workdir=tmp_path / "work", save=to).run
    monkeypatch.chdir(tmp_path)
    (tmp_path / Path(run).name).mkdir()
    found = find_dense(Spec(str(to)), read_provenance(to), tmp_path / "work")
    assert found.model == str(model)
