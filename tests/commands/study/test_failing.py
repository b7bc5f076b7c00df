"""What fails costs no more than what depends on it, and is told."""

import json
import math
import shutil
from pathlib import Path

import pytest

import prunekit
from prunekit.core.errors import ConfigError, StorageError


def test_a_search_that_fails_fails_alone_and_is_tried_again(study, install, forget_plugins):
    source = (
        "from prunekit.core import hookimpl\nclass Breaks:\n    'Breaks.'\n    name = 'breaks'\n"
        "    def search(self, problem):\n        yield [frozenset([1])]\n        {}\n"
        "@hookimpl\ndef prunekit_searchers(): return [Breaks]\n"
    )
    install("prunekit-breaks", source.format("raise ValueError('on purpose')"))
    outcome = study(searchers=["greedy", "breaks"], seeds=[0])
    assert {r.cell.searcher for r in outcome.results} == {"greedy"}
    assert len(outcome.failures) == 2
    assert all("ValueError: on purpose" in failure.error for failure in outcome.failures)
    module = Path(__import__("prunekit_breaks").__file__)
    module.write_text(source.format("return frozenset(range(problem.budget))"))
    install.__globals__["sys"].modules.pop("prunekit_breaks")
    forget_plugins()
    outcome = study(searchers=["greedy", "breaks"], seeds=[0])
    assert len(outcome.results) == 4
    assert not outcome.failures


def test_a_mix_without_gradients_fails_only_what_needs_them(study, small):
    mix = {"objective": "mix", "parts": "ppl:1", "ppl": small["objectives"]["ppl"]}
    outcome = study(objectives={"mix": mix})
    assert {f.cell.searcher for f in outcome.failures} == {"fisher"}
    assert len(outcome.results) == 2 + 2


def test_models_that_cannot_be_loaded_fail_alone(study, small, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(small["models"]["tiny"]["model"], broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    models = {"broken": {"model": str(broken)}, "nobody/nothing": None, **small["models"]}
    outcome = study(models=models, searchers=["greedy"])
    assert {r.cell.model for r in outcome.results} == {"tiny"}
    errors = {f.cell.model: f.error for f in outcome.failures}
    assert "broken or cut short" in errors["broken"]
    assert "not in the local cache" in errors["nobody/nothing"]
    assert len(outcome.failures) == 2 * 2


def test_data_that_do_not_suffice_fail_their_objective_alone(study, small):
    objectives = {
        **small["objectives"],
        "other": {**small["objectives"]["ppl"], "objective": "ppl", "length": 9999},
    }
    outcome = study(objectives=objectives, searchers=["greedy"])
    assert {f.cell.objective for f in outcome.failures} == {"other"}
    assert all("0 documents that long" in f.error for f in outcome.failures)
    assert len(outcome.results) == 2


def test_a_model_whose_losses_are_not_finite_fails(study, small, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "nan"
    shutil.copytree(small["models"]["tiny"]["model"], broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"].fill_(math.nan)
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    outcome = study(models={"nan": {"model": str(broken)}}, searchers=["greedy"], budgets=2)
    assert not outcome.results
    assert all("dense model is not finite" in f.error for f in outcome.failures)


def test_a_shape_that_is_not_the_models_own_is_told(study, small, tiny_model):
    shape = {"config": str(tiny_model("llama3", n_blocks=6)), **small["models"]["tiny"]}
    outcome = study(models={"m": shape}, searchers=["one-shot"], budgets=2)
    assert "it has 8 blocks, the `config` given for it says 6" in outcome.failures[0].error


def test_a_journal_that_cannot_be_read_fails_its_group_alone(study, tmp_path):
    study(searchers=["one-shot"])
    broken = next(iter(tmp_path.glob("work/journals/*/*.jsonl")))
    broken.write_text("nonsense\n" + broken.read_text())
    outcome = study(searchers=["one-shot", "greedy"])
    assert len(outcome.results) == 3
    (failure,) = outcome.failures
    assert "jsonl:1: not a line of this journal" in failure.error


def test_a_full_disk_stops_the_study(study, monkeypatch):
    from prunekit.engine.journal import Journal

    def full(self, pieces):
        raise StorageError("no room")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(StorageError, match="no room"):
        study()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema": 1}'])
@pytest.mark.parametrize("name", ["labels.json", "cells/tiny_ppl_greedy_k2_s0_d0.json"])
def test_a_broken_file_that_the_study_begins_with_is_named(study, name, content):
    def run():
        return study(searchers=["greedy"], budgets=2, only="objective=ppl")

    path = Path(run().folder, name)
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        run()
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.endswith("remove it and run the study again")
    assert len(message.splitlines()) == 1
    path.unlink()
    assert len(run().results) == 1


@pytest.mark.parametrize(
    ("folder", "key", "value"),
    [
        ("cells", "removed", "abc"),
        ("cells", "removed", [1, "x"]),
        ("cells", "loss", "low"),
        ("cells", "asked", True),
        ("cells", "cell", [1]),
        ("cells", "cell", {"model": "tiny"}),
        ("importance", "singles", [0.1, "x"]),
        ("evaluations/tiny", "perplexities", {"demo": "x"}),
        ("evaluations/tiny", "accuracies", 3),
    ],
)
def test_a_report_on_a_file_that_holds_something_else_names_it(study, evaluate, folder, key, value):
    given = {"searchers": ["greedy"], "budgets": 2, "evaluate": evaluate}
    made = Path(study(**given, only="objective=ppl").folder)
    path = sorted(made.glob(f"{folder}/*.json"))[0]
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ConfigError, match=r"remove it and run the study again") as caught:
        prunekit.report(made)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["models/tiny.json", "speeds/tiny_ppl_d0.json"])
@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_broken_file_fails_what_needs_it_and_is_named(study, name, content):
    def run(searcher):
        return study(searchers=[searcher], budgets=2, only="objective=ppl")

    path = Path(run("greedy").folder, name)
    path.write_text(content)
    (failure,) = run("one-shot").failures
    assert failure.error.startswith(str(path))
    assert failure.error.endswith("remove it and run the study again")
    path.unlink()
    assert not run("one-shot").failures


def test_a_broken_signal_fails_what_needs_it_and_is_named(study, tmp_path):
    fisher = {"searcher": "cbo", "hessian": "fisher"}
    first = study(searchers={"fisher": fisher}, budgets=2, only="objective=ppl")
    assert not first.failures
    (path,) = tmp_path.glob("work/journals/*/gate_gradients.json")
    path.write_text("[[1.0, ")
    outcome = study(searchers={"fisher": fisher, "greedy": None}, budgets=3, only="objective=ppl")
    (failure,) = outcome.failures
    assert failure.error.startswith(f"{path} is not JSON")
    assert failure.error.endswith("remove it and search again")
    assert [r.cell.searcher for r in outcome.results] == ["greedy"]
