"""Choices are measured on the other calibration draws, each once, whatever stops the study."""

import json
from pathlib import Path

import pytest
import yaml

import prunekit
from prunekit.core.errors import ConfigError
from prunekit.core.registry import load
from prunekit.plugins.commands.study.config import parse_study
from prunekit.plugins.commands.study.draw_losses import DrawLosses, draw_losses
from prunekit.plugins.commands.study.estimate import estimate_study
from prunekit.plugins.commands.study.run import plan


@pytest.fixture
def few(study):
    """A small study of two draws, objectives and searchers."""

    def run(**changes):
        return study(**{"draws": [0, 1], "searchers": ["one-shot", "greedy"], **changes})

    return run


def removed(outcome, objective, draw):
    results = [r for r in outcome.results if (r.cell.objective, r.cell.draw) == (objective, draw)]
    return {"-".join(map(str, r.removed)) for r in results}


def found_in(outcome):
    return {(of.objective, of.draw): of for of in draw_losses(Path(outcome.folder))}


def test_every_choice_is_measured_on_the_other_draw_as_a_search_there_would(few, small, tmp_path):
    outcome = few()
    found = found_in(outcome)
    assert found.keys() == {(o, d) for o in ("ppl", "kl") for d in (0, 1)}
    for (objective, draw), of in found.items():
        assert of.differences.keys() == removed(outcome, objective, 1 - draw)
    name, difference = next(iter(found["ppl", 1].differences.items()))
    subset = frozenset(map(int, name.split("-")))
    (model,) = small["models"].values()
    shown = prunekit.search(
        model["model"],
        objective="ppl",
        ppl={**small["objectives"]["ppl"], "seed": 1},
        searcher="exhaustive",
        protect=",".join(str(i) for i in range(8) if i not in subset),
        budget=3,
        workdir=tmp_path / "alone",
        finalists=0,
    )
    assert shown.removed == tuple(sorted(subset))
    assert shown.difference.value == difference


def test_nothing_is_measured_twice_and_nothing_is_left_to_do(few, tmp_path, measured):
    first = few()
    pieces = measured(tmp_path / "work")
    assert len(pieces) == len(set(pieces))
    again = few()
    assert (again.effort.measured, again.effort.block_runs_alone) == (0, 0)
    assert found_in(again) == found_in(first)


def test_what_a_kill_left_out_is_made_good_from_the_journal(few, files):
    first = few()
    before = files(Path(first.folder))
    for path in Path(first.folder, "on-draws").glob("*_d1.json"):
        path.unlink()
    assert few().effort.measured == 0
    assert files(Path(first.folder)) == before


def test_several_processes_write_the_same(few, files, tmp_path):
    one = few(searchers=["one-shot"], only="objective=ppl")
    two = few(searchers=["one-shot"], only="objective=ppl", jobs=2, workdir=tmp_path / "two")
    assert found_in(one) == found_in(two)


def test_draws_and_searchers_that_are_added_later_add_what_they_need(few):
    few(draws=[0], objectives={"ppl": {"data": "demo", "samples": 4, "length": 24}})
    outcome = few(objectives={"ppl": {"data": "demo", "samples": 4, "length": 24}})
    assert {d for _, d in found_in(outcome)} == {0, 1}


def test_a_study_can_go_without(few):
    outcome = few(other_draws=False)
    assert found_in(outcome) == {}
    stored = yaml.safe_load(Path(outcome.folder, "study.yaml").read_text())
    assert stored["other_draws"] is False


def test_one_draw_has_no_other(few):
    assert found_in(few(draws=[0])) == {}


def test_draws_of_one_calibration_are_those_that_are_compared(few):
    sets = {"short": {"length": 12}, "usual": {"samples": 4}}
    outcome = few(calibration=sets, searchers=["one-shot"], only="objective=ppl")
    found = draw_losses(Path(outcome.folder))
    assert [(of.calibration, of.draw) for of in found] == [
        (calibration, draw) for calibration in sets for draw in (0, 1)
    ]


def test_a_failure_is_reported_and_stops_one_draw_alone(few, monkeypatch):
    from prunekit.plugins.commands.study import other_draws

    opened = other_draws.open_group

    def fails_once(group, *rest):
        if (group.objective, group.draw) == ("ppl", 1):
            raise ConfigError("on purpose")
        return opened(group, *rest)

    monkeypatch.setattr(other_draws, "open_group", fails_once)
    outcome = few()
    assert not outcome.failures
    missing = {(m.error, "-".join(map(str, m.removed))) for m in outcome.effort.unevaluated}
    assert missing == {
        ("on draw 1 under ppl: on purpose", name) for name in removed(outcome, "ppl", 0)
    }
    assert found_in(outcome).keys() == {("ppl", 0), ("kl", 0), ("kl", 1)}


def test_a_dry_run_counts_the_most(small, tmp_path):
    given = {**small, "draws": [0, 1, 2], "searchers": ["one-shot", "greedy"]}
    config = parse_study(given, load(), Path())
    (model,) = estimate_study(plan(config, tmp_path)).models
    assert model.other_draws.measured == 2 * 3 * 2 * 2  # objectives, draws, others, searchers
    assert model.other_draws.block_runs == 24 * (8 - 3)
    without = parse_study({**given, "other_draws": False}, load(), Path())
    (bare,) = estimate_study(plan(without, tmp_path)).models
    assert (bare.other_draws, bare.cost) == (None, model.cost)


def test_a_word_that_is_neither_true_nor_false_is_refused(small):
    with pytest.raises(ConfigError, match=r"other_draws: expected .*, got 'some'"):
        parse_study({**small, "other_draws": "some"}, load(), Path())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"differences": {"1-2": "low"}}, r"differences\.1-2 cannot be 'low'"),
        ({"differences": {"1-x": 0.5}}, "a subset cannot be called '1-x'"),
        ({"draw": -1}, "draw cannot be -1"),
        ({"draw": 7}, "it is of m_ppl_d7"),
        ({"schema": 9}, "expected a record of schema 1"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, change, message):
    known = DrawLosses("m", "ppl", 1, {"1-2": 0.5, "1-3": None})
    known.write(tmp_path)
    assert draw_losses(tmp_path) == [known]
    path = tmp_path / "on-draws" / "m_ppl_d1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ConfigError, match=message):
        draw_losses(tmp_path)
