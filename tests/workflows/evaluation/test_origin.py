"""A checkpoint knows its dense model by name and weights; where it lies is looked for."""

import json
import shutil

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.interfaces import Spec
from prunekit.workflows.evaluation.origin import find_dense
from prunekit.workflows.provenance import read_provenance


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
    with pytest.raises(ConfigError, match="model has other weights than it was made of"):
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
