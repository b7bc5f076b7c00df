"""The blocks in a stored result are checked wherever they are read."""

import json
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.engine.provenance import read_provenance
from prunekit.plugins.commands.show.show import show

WORK = {"asked": 1, "measured": 1, "block_runs": 1, "block_runs_alone": 1, "seconds": 1.0}
BAD = {
    "removed": [[True], [1.5], ["1"], ["1", "2", "3"], [0, 1], [1, 1, 2], [1, 2, 8], [-1, 1, 2]],
    "kept": [[], "01234", [0, 1, 2, 3, 4, 5], [True, 3, 4, 5, 6]],
    "budget": [2, True, "3"],
    "n_blocks": [9, 2.0, "8"],
    "pruned": [{}, {"loss": "low", "readings": {}}, {"loss": 1.0, "readings": {"x": "y"}}, None],
    "work": [{}, {"asked": 1}, 3, {**WORK, "measured": -1}, {**WORK, "asked": 10**400}],
    "parameters": [0, -5, 10**400],
    "parameters_removed": [-1, 10**30],
    "difference": [{"value": 1.0, "standard_error": -1.0}, {"value": 1e308, "standard_error": 1.0}],
    "begins_with": [{"a": [1]}, 3],
    "versions": [{"prunekit": 1}, []],
    "weights": [3, None],
    "runner_up": [{"removed": [True, 2, 3], "behind": {"value": 1.0, "standard_error": None}}],
}
CASES = [(key, value) for key, values in BAD.items() for value in values]


@pytest.fixture
def run(quick):
    return Path(prunekit.search(**quick, searcher="one-shot").run)


def commands(run, tmp_path):
    yield lambda: show(run)
    yield lambda: prunekit.export(run=run, to=tmp_path / "pruned")
    yield lambda: prunekit.export(run=run, to=tmp_path / "r.sh", format="llama.cpp")
    yield lambda: prunekit.evaluate(run=run, ppl="demo")
    yield lambda: prunekit.latency(run=run)


def test_every_command_that_reads_a_run_refuses_what_cannot_be_a_result(run, tmp_path):
    path = run / "result.json"
    row = json.loads(path.read_text())
    for key, value in CASES:
        path.write_text(json.dumps({**row, key: value}))
        for command in commands(run, tmp_path):
            with pytest.raises(ConfigError) as caught:
                command()
            message = str(caught.value)
            assert message.startswith(f"{path}: "), (key, value)
            assert message.endswith("; run the search again")
            assert len(message.splitlines()) == 1
    assert not list(tmp_path.glob("pruned")) + list(tmp_path.glob("r.sh"))


def test_what_a_later_version_wrote_besides_is_passed_over(run):
    path = run / "result.json"
    row = json.loads(path.read_text())
    before = show(run)
    row["extra"] = row["work"]["extra"] = row["difference"]["extra"] = "x"
    path.write_text(json.dumps(row))
    assert show(run) == before


@pytest.mark.parametrize("remove", [[True], [1.0, 2], ["1"], 3, [1, 1]])
def test_blocks_named_from_python_are_whole_numbers_too(quick, tmp_path, remove):
    given = {"model": quick["model"], "remove": remove}
    for command in (
        lambda: prunekit.export(**given, to=tmp_path / "pruned"),
        lambda: prunekit.export(**given, to=tmp_path / "r.sh", format="llama.cpp"),
        lambda: prunekit.evaluate(**given, ppl="demo"),
        lambda: prunekit.latency(**given),
    ):
        with pytest.raises(ConfigError, match="expected block numbers|named twice"):
            command()
    assert not list(tmp_path.glob("pruned")) + list(tmp_path.glob("r.sh"))


@pytest.mark.parametrize("text", ['{"schema": 1, "x": NaN}', "[" * 100_000, "\x00"])
def test_what_json_has_no_word_for_is_no_result(run, text):
    (run / "result.json").write_text(text)
    with pytest.raises(ConfigError, match="result.json is not JSON .* run the search again"):
        show(run)


def test_a_checkpoint_says_which_blocks_it_lacks_or_is_refused(quick, tmp_path):
    to = tmp_path / "pruned"
    prunekit.search(**quick, searcher="one-shot", save=to)
    path = to / "prunekit.json"
    row = json.loads(path.read_text())
    assert read_provenance(to) == row
    bad = [(k, v) for k, v in CASES if k in ("removed", "kept", "versions", "weights")]
    bad += [("blocks", 8.0), ("blocks", 3), ("search", [])]
    bad += [("search", {**row["search"], k: v}) for k, v in CASES]
    for key, value in bad:
        if (key, value) == ("removed", [0, 1]):  # a fault of its `kept`, since it has no budget
            assert row["kept"] != [2, 3, 4, 5, 6, 7]
        path.write_text(json.dumps({**row, key: value}))
        with pytest.raises(ConfigError) as caught:
            show(to)
        assert str(caught.value).startswith(f"{path}: "), (key, value)
        assert str(caught.value).endswith("; export the model again")


def test_a_study_and_its_report_refuse_cells_that_cannot_be(quick):
    study = {
        "name": "small",
        "models": {"tiny": {"model": quick["model"]}},
        "objectives": {"ppl": quick["ppl"]},
        "searchers": ["one-shot"],
        "budgets": [3],
    }
    folder = Path(prunekit.study(study, workdir=quick["workdir"]).folder)
    (path,) = folder.glob("cells/*.json")
    row = json.loads(path.read_text())
    bad = [(k, v) for k, v in CASES if k in ("removed", "n_blocks")]
    bad = [(k, v) for k, v in bad if (k, v) != ("n_blocks", 9)]  # it names no kept ones
    counts = [("asked", -5), ("seconds", -1.0), ("parameters", 10**400), ("loss", 1e308)]
    for key, value in [*bad, *counts, ("cell", {**row["cell"], "budget": 2})]:
        path.write_text(json.dumps({**row, key: value}))
        for command in (
            lambda: prunekit.study(study, workdir=quick["workdir"]),
            lambda: prunekit.report(folder),
        ):
            with pytest.raises(ConfigError, match="remove it and run the study again"):
                command()
    path.write_text(json.dumps(row))
    planned = json.loads((folder / "cells.json").read_text())
    planned["cells"] *= 2
    (folder / "cells.json").write_text(json.dumps(planned))
    with pytest.raises(ConfigError, match="cells.json: a cell is planned twice"):
        prunekit.report(folder)
