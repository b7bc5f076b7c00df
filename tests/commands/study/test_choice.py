"""What a cell of a study chose is exported, evaluated and timed like the choice of a run."""

import json
import re

import pytest

import prunekit
from prunekit.core.errors import ConfigError
from prunekit.engine.choice import cell_file, choose
from prunekit.engine.study_folder import CellFailure, StudyFolder

ONE = {"searchers": ["greedy"], "objectives": {"ppl": {"data": "demo", "samples": 4, "length": 24}}}
CELL = "small/tiny_ppl_greedy_k3_s0_d0"


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """A choice is the same whether or not its model was proven before."""


@pytest.fixture
def chosen(study, tmp_path):
    """Choose from a cell of the study that was run with these changes."""

    def choose_from(cell=CELL, given=None, model=None, remove=None, budget=None, **changes):
        study(**ONE, **changes)
        return choose(model, remove, cell, tmp_path / "work", given or {}, ("device",), budget)

    return choose_from


def test_it_has_the_model_and_the_blocks_of_the_cell(chosen, small, tmp_path):
    by_name = chosen()
    row = json.loads(cell_file_of(tmp_path).read_text())
    assert sorted(by_name.removed) == row["removed"]
    assert by_name.spec.model == small["models"]["tiny"]["model"]
    assert by_name.run is None
    assert chosen(cell_file_of(tmp_path)) == by_name


def cell_file_of(tmp_path):
    study, cell = CELL.split("/")
    return tmp_path / "work" / "studies" / study / "cells" / f"{cell}.json"


def test_the_winner_among_finalists_is_taken(chosen, tmp_path):
    found = chosen(finalists=5)
    row = json.loads(cell_file_of(tmp_path).read_text())
    assert sorted(found.removed) == row["held_out"]["finalists"][0]["removed"]


def test_the_model_is_loaded_as_the_study_did(chosen):
    found = chosen(dtype="bfloat16", given={"device": "cpu"})
    assert (found.spec.dtype, found.spec.device) == ("bfloat16", "cpu")


def test_commands_take_it(study, tmp_path):
    study(**ONE)
    workdir = tmp_path / "work"
    removed = json.loads(cell_file_of(tmp_path).read_text())["removed"]
    pruned = prunekit.export(run=CELL, to=tmp_path / "pruned", workdir=workdir)
    assert json.loads((pruned / "prunekit.json").read_text())["removed"] == removed
    found = prunekit.evaluate(run=CELL, ppl="demo", ppl_samples=2, workdir=workdir)
    assert found.removed == tuple(removed)
    timed = prunekit.latency(
        run=CELL, workdir=workdir, prompt_length=4, new_tokens=2, batch_size=1, repeats=1
    )
    assert timed.removed == tuple(removed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "demo"}, "model: a cell of a study knows this itself"),
        ({"budget": 2}, "budget: a cell of a study knows this itself"),
        ({"given": {"dtype": "float16"}}, "dtype: a cell of a study knows this itself"),
        ({"remove": [2]}, "give either a run"),
    ],
)
def test_what_the_cell_knows_is_not_given_again(chosen, given, message):
    with pytest.raises(ConfigError, match=message):
        chosen(**given)


def test_a_cell_that_failed_is_refused_with_its_reason(chosen, tmp_path):
    chosen()
    folder = StudyFolder(tmp_path / "work" / "studies" / "small")
    folder.write_cell(CellFailure(folder.cells()[0], "out of luck"))
    with pytest.raises(ConfigError, match="nothing was chosen: out of luck; choose another"):
        choose(None, None, CELL, tmp_path / "work", {})


def test_a_model_that_changed_is_refused(chosen, small, tmp_path):
    chosen()
    path = tmp_path / "work" / "studies" / "small" / "models" / "tiny.json"
    row = json.loads(path.read_text())
    row["fingerprint"]["weights"] = "other"
    path.write_text(json.dumps(row))
    with pytest.raises(ConfigError, match="is no longer the model that was searched"):
        choose(None, None, CELL, tmp_path / "work", {})


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("models: [tiny]", "study.yaml: models: expected tiny; remove it and run the study again"),
        ("models: {tiny: {model: 3}}", "study.yaml: model: expected text, got 3"),
        ("models: {tiny: {model: demo, dtype: odd}}", "study.yaml: dtype: expected auto|float32"),
        ("models: {tiny: {model: demo, dtpye: bfloat16}}", "study.yaml: dtpye"),
    ],
)
def test_a_definition_edited_by_hand_is_named_with_its_file(chosen, tmp_path, models, message):
    chosen()
    path = tmp_path / "work" / "studies" / "small" / "study.yaml"
    path.write_text(models)
    with pytest.raises(ConfigError, match=re.escape(message)):
        choose(None, None, CELL, tmp_path / "work", {})


def test_folders_and_names_of_runs_are_no_cells(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert cell_file(tmp_path / "a" / "b", tmp_path) is None
    with pytest.raises(ConfigError, match="no such run"):
        choose(None, None, "small/no-cell", tmp_path, {})


def test_a_cell_that_was_healed_is_in_the_report(chosen, tmp_path):
    from prunekit.plugins.commands.heal.heal import heal

    chosen()
    ppl = {"data": "demo", "samples": 4, "length": 32}
    given = {"tokens": 1024, "rate": 1e-2, "batch_tokens": 128, "workdir": tmp_path / "work"}
    result = heal(run=CELL, **given, ppl=ppl, to=tmp_path / "healed")
    study = tmp_path / "work" / "studies" / "small"
    prunekit.report(study)
    (line,) = (study / "report" / "tables" / "healed.csv").read_text().splitlines()[1:]
    assert f"LoRA of rank 16,{result.healed.tokens}," in line
    assert "After healing" in (study / "report" / "report.html").read_text()
    (path,) = (study / "healed").iterdir()
    row = json.loads(path.read_text())
    row["healed"]["tokens"] = -1
    path.write_text(json.dumps(row))
    with pytest.raises(ConfigError, match="heal.tokens cannot be -1; heal the cell again"):
        prunekit.report(study)
