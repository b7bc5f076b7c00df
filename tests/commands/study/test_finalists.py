"""A study can measure the finalists of its searches again, as a search does."""

import json
import math
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.registry import load
from prunekit.engine.study_folder import CellResult, StudyFolder
from prunekit.plugins.commands.study.config import parse_study

ONE = {"objectives": {"ppl": {"data": "demo", "samples": 4, "length": 24}}}
GREEDY = {**ONE, "searchers": {"mine": {"searcher": "greedy"}}}


def cells_of(outcome):
    folder = StudyFolder(Path(outcome.folder))
    return {cell: folder.cell(cell) for cell in folder.cells()}


def test_by_default_searches_are_compared_as_they_are(study, tmp_path):
    outcome = study(**GREEDY)
    (result,) = outcome.results
    assert (result.finalists, result.held_out, result.stability) == (0, None, None)
    journals = list((tmp_path / "work" / "journals").iterdir())
    assert len(journals) == 1


def test_a_cell_keeps_the_choice_of_its_search_beside_the_finalists(study, tmp_path):
    plain = study(**ONE, workdir=tmp_path / "plain")
    outcome = study(**ONE, finalists=3)
    for before, after in zip(plain.results, outcome.results, strict=True):
        assert after.removed == before.removed
        assert (after.loss, after.asked, after.block_runs) == (
            before.loss,
            before.asked,
            before.block_runs,
        )
        assert after.finalists == 3
        assert after.held_out.of(after.removed) is not None
        losses = [finalist.held_out for finalist in after.held_out.finalists]
        assert losses == sorted(losses)
        assert after.held_out.samples == 32  # 8 times 4
        assert 0 <= after.stability.agreement <= 1


def test_a_study_finds_what_a_search_finds(study, small, tmp_path):
    (cell,) = study(**GREEDY, finalists=4).results
    model = small["models"]["tiny"]["model"]
    alone = prunekit.search(
        model=model,
        workdir=tmp_path / "alone",
        searcher="greedy",
        budget=3,
        finalists=4,
        ppl=ONE["objectives"]["ppl"],
    )
    assert cell.held_out.winner == frozenset(alone.removed)
    rows = [(f.removed, f.loss, f.held_out, f.apart) for f in cell.held_out.finalists]
    assert rows == [(f.removed, f.loss, f.held_out, f.apart) for f in alone.held_out.finalists]


def test_a_finalist_was_found_by_the_label_of_its_searcher(study):
    (cell,) = study(**GREEDY, finalists=3).results
    assert cell.held_out.of(cell.removed).found_by == "mine"


def test_a_ranking_has_no_finalists(study):
    outcome = study(**ONE, searchers=["block-influence"], finalists=3)
    (cell,) = outcome.results
    assert (cell.finalists, cell.held_out, cell.stability) == (3, None, None)
    assert not study(**ONE, searchers=["block-influence"], finalists=3).effort.measured


def test_held_out_samples_are_opened_once_for_all_searches_of_a_group(study, monkeypatch):
    from prunekit.engine import finalists

    opened = []
    open_session = finalists.open_session

    def noting(*arguments):
        opened.append(arguments)
        return open_session(*arguments)

    monkeypatch.setattr(finalists, "open_session", noting)
    outcome = study(finalists=2)
    assert len(outcome.results) == 10
    assert len(opened) == 2  # objectives


def test_cells_that_were_searched_before_get_their_finalists(study, measured, tmp_path):
    before = cells_of(study(**GREEDY))
    outcome = study(**GREEDY, finalists=2)
    (result,) = outcome.results
    assert result.held_out is not None
    pieces = measured(tmp_path / "work")
    assert len(pieces) == len(set(pieces))  # the journal answered the search
    (old,) = before.values()
    assert (result.removed, result.loss) == (old.removed, old.loss)


def test_another_number_of_finalists_measures_only_what_is_new(study, measured, tmp_path):
    study(**GREEDY, finalists=2)
    pieces = measured(tmp_path / "work")
    (more,) = study(**GREEDY, finalists=4).results
    assert more.finalists == 4
    later = measured(tmp_path / "work")
    assert len(pieces) < len(later) == len(set(later))


def test_finalists_that_are_no_longer_asked_for_stay(study):
    study(**GREEDY, finalists=2)
    outcome = study(**GREEDY)
    assert outcome.results[0].held_out is not None


def test_without_samples_to_hold_out_the_search_is_done_all_the_same(study):
    everything = {"objectives": {"ppl": {"data": "demo", "samples": 128, "length": 8}}}
    given = {**everything, "searchers": ["one-shot"], "finalists": 2}
    with pytest.warns(UserWarning, match="no samples are held out"):
        outcome = study(**given)
    (result,) = outcome.results
    assert (result.finalists, result.held_out) == (2, None)
    assert study(**given).effort.measured == 0


def test_an_error_on_held_out_samples_is_the_failure_of_its_cell_alone(study, monkeypatch):
    from prunekit.engine.finalists import Finals

    choose = Finals.choose

    def failing(self, plan, name, driver, most):
        if name == "one-shot":
            raise ConfigError("the held-out text is gone")
        return choose(self, plan, name, driver, most)

    monkeypatch.setattr(Finals, "choose", failing)
    outcome = study(**ONE, finalists=2)
    assert [(f.cell.searcher, f.error) for f in outcome.failures] == [
        ("one-shot", "the held-out text is gone")
    ]
    assert len(outcome.results) == 4


def test_every_distinct_winner_is_evaluated_too(study, evaluate):
    outcome = study(**ONE, finalists=5, evaluate=evaluate)
    folder = StudyFolder(Path(outcome.folder))
    winners = {result.held_out.winner for result in outcome.results}
    assert winners - {frozenset(result.removed) for result in outcome.results}
    assert all(folder.evaluation("tiny", winner) for winner in winners)


def test_cells_of_earlier_versions_are_read(study):
    outcome = study(**GREEDY)
    (path,) = Path(outcome.folder, "cells").iterdir()
    row = json.loads(path.read_text())
    for name in ("finalists", "held_out", "stability"):
        del row[name]
    path.write_text(json.dumps(row))
    (found,) = cells_of(outcome).values()
    assert isinstance(found, CellResult)
    assert (found.finalists, found.held_out, found.stability) == (0, None, None)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda row: row["held_out"].update(finalists=[]), "finalists cannot be empty"),
        (lambda row: row.update(removed=[0, 1, 7]), "but not a finalist"),
        (lambda row: row["held_out"].update(samples=-1), "held_out.samples cannot be -1"),
        (lambda row: row["stability"].update(agreement=1.5), "agreement cannot be 1.5"),
        (lambda row: row.update(finalists=-2), "finalists cannot be -2"),
    ],
)
def test_a_damaged_cell_is_named(study, spoil, message):
    outcome = study(**GREEDY, finalists=2)
    (path,) = Path(outcome.folder, "cells").iterdir()
    row = json.loads(path.read_text())
    spoil(row)
    path.write_text(json.dumps(row))
    with pytest.raises(ConfigError, match=message):
        cells_of(outcome)


def test_the_key_is_checked_and_written_out(small):
    registry = load()
    assert parse_study(small, registry, Path()).as_dict()["finalists"] == 0
    assert parse_study({**small, "finalists": 3}, registry, Path()).as_dict()["finalists"] == 3
    with pytest.raises(ConfigError, match="finalists"):
        parse_study({**small, "finalists": -1}, registry, Path())


def test_losses_of_a_mix_are_on_the_scale_of_its_search(study):
    parts = {name: {"data": "demo", "samples": 2, "length": 24} for name in ("ppl", "kl")}
    both = {"both": {"objective": "mix", "parts": "ppl:1,kl:1", **parts}}
    (cell,) = study(objectives=both, searchers=["greedy"], finalists=2).results
    own = cell.held_out.of(cell.removed)
    assert own.loss == pytest.approx(cell.loss)
    assert math.isfinite(own.held_out)
    assert cell.held_out.samples == 16  # 8 times 2
