"""`prunekit report` as a user types it."""

import pytest

from prunekit.plugins.commands.report import writing
from prunekit.plugins.commands.report.figures.choices import masks
from prunekit.plugins.commands.report.figures.costs import budgets

SMALL = {
    "models": ("demo:qwen3",),
    "searchers": ("greedy",),
    "budgets": (3,),
    "seeds": (0,),
    "draws": (0,),
}


@pytest.fixture(autouse=True)
def _two_figures(monkeypatch):
    """Drawing all of them takes longer than everything else; test_report.py does."""
    monkeypatch.setattr(writing, "FIGURES", (masks, budgets))


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


def test_quiet_prints_only_the_result(make_study, tmp_path, prunekit):
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


def test_a_folder_that_cannot_be_written_costs_one_line(make_study, tmp_path, prunekit):
    study = make_study(tmp_path / "study", run=lambda cell: cell.searcher == "cbo")
    (tmp_path / "file").write_text("")
    status, _, err = prunekit("report", study.path, "--to", tmp_path / "file")
    assert status == 1
    assert "cannot write" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("named", [True, False])
def test_a_report_follows_no_link_and_overwrites_no_page_of_others(
    make_study, tmp_path, prunekit, named
):
    study = make_study(tmp_path / "study", **SMALL)
    other = tmp_path / "other"
    other.mkdir()
    report = tmp_path / "named" if named else study.path / "report"
    command = ["report", study.path, *(["--to", report] if named else [])]

    def refused(message):
        status, out, err = prunekit(*command)
        assert (status, out) == (1, "")
        assert message in err
        assert len(err.strip().splitlines()) == 1

    report.mkdir()
    (report / "tables").symlink_to(other)
    refused(f"{report / 'tables'}: a symbolic link")
    (report / "tables").unlink()
    (report / "report.html").write_text("<h1>My own</h1>")
    refused("neither empty nor an earlier report of prunekit")
    assert (report / "report.html").read_text() == "<h1>My own</h1>"
    (report / "report.html").unlink()
    if not named:  # a link that the user names is meant
        report.rmdir()
        report.symlink_to(other)
        refused(f"{report}: a symbolic link")
        report.unlink()
    assert not list(other.iterdir())
    assert prunekit(*command)[0] == 0


def test_a_report_that_was_killed_is_written_again(make_study, tmp_path, monkeypatch):
    from prunekit.plugins.commands.report import writing
    from prunekit.plugins.commands.report.writing import report

    study = make_study(tmp_path / "study", **SMALL)
    folder = study.path / "report"

    def killed(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, "render", killed)
        with pytest.raises(KeyboardInterrupt):
            report(study.path)
    assert not (folder / "report.html").exists()
    report(study.path)
    assert sorted(p.name for p in folder.iterdir()) == ["figures", "report.html", "tables"]


def test_a_page_that_is_a_link_is_replaced_and_what_it_names_stays(make_study, tmp_path):
    from prunekit.plugins.commands.report.writing import report

    study = make_study(tmp_path / "study", **SMALL)
    page = report(study.path).page
    target = tmp_path / "mine.html"
    page.rename(target)
    page.symlink_to(target)
    content = target.read_bytes()
    (study.path / "cells.json").write_text((study.path / "cells.json").read_text())
    report(study.path)
    assert not page.is_symlink()
    assert target.read_bytes() == content
