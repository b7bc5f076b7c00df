"""A search whose choice has no finite loss has failed: nothing is stored, saved or advised."""

import json
from pathlib import Path

import pytest

import prunekit
from prunekit.core import CheckpointError, ConfigError
from prunekit.core.measurement import Piece
from prunekit.hf.prefix import PrefixMeter


@pytest.fixture
def broken_at(monkeypatch):
    """`broken_at(3)`: without three blocks or more, every sum is this value."""
    measure = PrefixMeter.measure

    def break_at(size, value):
        def measured(self, wanted):
            for piece in measure(self, wanted):
                sums = tuple(value for _ in piece.sums) if len(piece.subset) >= size else piece.sums
                yield Piece(piece.subset, piece.batch, sums, piece.weights)

        monkeypatch.setattr(PrefixMeter, "measure", measured)

    return break_at


@pytest.mark.parametrize("searcher", ["greedy", "one-shot"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_it_is_an_error_and_leaves_neither_result_nor_checkpoint(
    quick, tmp_path, broken_at, searcher, value
):
    broken_at(3, value)
    with pytest.raises(CheckpointError, match=f"the choice of {searcher}, the loss is not finite"):
        prunekit.search(**quick, searcher=searcher, save=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()
    assert not list(quick["workdir"].glob("runs/*/result.json"))
    assert list(quick["workdir"].glob("journals/*/*.jsonl"))
    assert len(prunekit.search(**{**quick, "budget": 2}, searcher=searcher).removed) == 2


def test_it_ends_the_command_with_one_line_and_status_1(quick, prunekit, broken_at):
    broken_at(2, float("nan"))
    options = ["--ppl.data", "demo", "--ppl.samples", 2, "--ppl.length", 16, "--workdir", "w"]
    status, out, err = prunekit("search", "--model", quick["model"], "-k", 2, *options)
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "the loss is not finite, so nothing can be recommended" in line
    status, out, _ = prunekit("show", "w")
    assert "not over" in out


def test_a_cell_of_a_study_fails_with_the_reason_and_the_others_go_on(quick, broken_at):
    broken_at(2, float("inf"))
    study = {
        "name": "small",
        "models": {"tiny": {"model": quick["model"]}},
        "objectives": {"ppl": quick["ppl"]},
        "searchers": ["greedy"],
        "budgets": [1, 2],
    }
    outcome = prunekit.study(study, workdir=quick["workdir"])
    assert [result.cell.budget for result in outcome.results] == [1]
    (failure,) = outcome.failures
    assert failure.cell.budget == 2
    assert "the choice of greedy, the loss is not finite" in failure.error


def test_a_result_of_before_that_is_not_finite_is_not_exported(quick, tmp_path):
    run = Path(prunekit.search(**quick, searcher="one-shot").run)
    row = json.loads((run / "result.json").read_text())
    row["pruned"]["loss"] = None
    (run / "result.json").write_text(json.dumps(row))
    with pytest.raises(ConfigError, match="its search found no finite loss"):
        prunekit.export(run=run, to=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()


def test_a_runner_up_that_is_not_finite_is_no_matter(quick, monkeypatch):
    measure = PrefixMeter.measure
    chosen = frozenset(prunekit.search(**quick, searcher="greedy").removed)

    def measured(self, wanted):
        for piece in measure(self, wanted):
            good = len(piece.subset) < 3 or piece.subset == chosen
            sums = piece.sums if good else (float("inf"),) * len(piece.sums)
            yield Piece(piece.subset, piece.batch, sums, piece.weights)

    monkeypatch.setattr(PrefixMeter, "measure", measured)
    result = prunekit.search(**{**quick, "workdir": quick["workdir"] / "other"}, searcher="greedy")
    assert frozenset(result.removed) == chosen
    assert result.runner_up.behind.value is None
