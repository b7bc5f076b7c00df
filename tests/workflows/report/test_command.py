"""`prunekit report` as a user types it."""

import pytest

SMALL = {
    "models": ("demo:qwen3",),
    "searchers": ("greedy",),
    "budgets": (3,),
    "seeds": (0,),
    "draws": (0,),
}


def test_it_prints_the_main_table_and_where_things_are(make_study, tmp_path, prunekit):
    study = make_study(
        tmp_path / "study", draws=(0,), seeds=(0,), budgets=(3,), run=lambda c: c.searcher != "cbo"
    )
    status, out, err = prunekit("report", study.path, "--to", tmp_path / "r")
    assert status == 0
    table = out.partition("tables:")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert table.count("fast-block-select") == 2
    assert "Average accuracy (%), pruned under margin" in table
    assert f"page:    {tmp_path / 'r' / 'report.html'}" in out
    assert (tmp_path / "r" / "report.html").is_file()
    assert "missing: 4 of 28 cells have not run, as demo:llama3, ppl, cbo, k = 3, seed 0" in err
    assert "not drawn: Loss against budget: there is one budget only, 3" in err


def test_quiet_says_only_what_was_asked_for(make_study, tmp_path, prunekit):
    study = make_study(tmp_path, draws=(0,), importances=False, run=lambda c: c.searcher == "cbo")
    status, out, err = prunekit("report", study.path, "-q")
    assert (status, err) == (0, "")
    assert "report.html" not in out
    assert "Average accuracy" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not the folder of a study (cells.json is missing)"),
        ("{", "cells.json is not JSON"),
        ('{"schema": 99}', "expected a record of schema 1"),
        ('{"schema": 1, "cells": []}', "nothing to report yet: of 0 cells none has finished"),
    ],
)
def test_what_is_no_study_costs_one_line(tmp_path, prunekit, content, message):
    if content is not None:
        (tmp_path / "cells.json").write_text(content)
    status, out, err = prunekit("report", tmp_path)
    assert (status, out) == (1, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_folder_of_other_things_is_left_alone(make_study, tmp_path, prunekit):
    study = make_study(tmp_path / "study", **SMALL)
    to = tmp_path / "thesis"
    (to / "figures").mkdir(parents=True)
    (to / "report.html").write_text("<h1>My own</h1>")
    (to / "figures" / "masks.png").write_text("my own")
    status, out, err = prunekit("report", study.path, "--to", to)
    assert (status, out) == (1, "")
    said = "neither empty nor an earlier report of prunekit; name another folder"
    assert err == f"error: {to}: {said}\n"
    assert (to / "figures" / "masks.png").read_text() == "my own"
    assert len(list(to.iterdir())) == 2
    for _ in range(2):  # into an empty folder, and over an earlier report
        (tmp_path / "new").mkdir(exist_ok=True)
        assert prunekit("report", study.path, "--to", tmp_path / "new")[0] == 0


def test_a_place_that_cannot_be_written_costs_one_line(make_study, tmp_path, prunekit):
    study = make_study(tmp_path / "study", run=lambda cell: cell.searcher == "cbo")
    (tmp_path / "file").write_text("")
    status, _, err = prunekit("report", study.path, "--to", tmp_path / "file")
    assert status == 1
    assert "cannot write" in err
    assert len(err.strip().splitlines()) == 1
