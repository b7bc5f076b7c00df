"""Records that were copied from another run, or that contradict themselves."""

import json
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.engine.study_folder import (
    Cell,
    CellResult,
    Importance,
    StudyFolder,
    VariantEvaluation,
)
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.show.show import show

SHORT = {"prompt_length": 8, "new_tokens": 2, "repeats": 1}


@pytest.fixture
def runs(quick):
    """Two runs that remove other blocks, timed and evaluated."""
    found = []
    for budget in (1, 3):
        run = Path(prunekit.search(**{**quick, "budget": budget}, searcher="one-shot").run)
        prunekit.latency(run=run, **SHORT)
        prunekit.evaluate(run=run, ppl="demo", ppl_samples=2, workdir=quick["workdir"])
        found.append(run)
    return found


def change(path, **values):
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, **values}))
    return row


@pytest.mark.parametrize("name", ["evaluation.json", "latency.json"])
def test_what_was_measured_of_other_blocks_is_not_shown_as_of_these(runs, quick, tmp_path, name):
    one, other = runs
    (one / name).write_bytes((other / name).read_bytes())
    message = rf"{name}: removed is \[\d, \d, \d\], but the run removes \[\d\]; "
    with pytest.raises(ConfigError, match=message):
        show(one)
    if name == "evaluation.json":
        with pytest.raises(ConfigError, match=message):
            prunekit.export(run=one, to=tmp_path / "pruned")
        with pytest.raises(ConfigError, match=message):
            prunekit.evaluate(run=one, ppl="demo", workdir=quick["workdir"])
    assert not (tmp_path / "pruned").exists()


def test_a_bad_run_takes_one_line_of_the_list_and_the_others_stay(runs, quick):
    one, other = runs
    (one / "result.json").write_text('{"schema": 1}')
    (other / "evaluation.json").write_text("[]")  # the list needs none of it
    shown = show(quick["workdir"])
    assert [Path(result.run) for result in shown.results] == [other]
    assert shown.others == {one.name: "cannot be read"}


def test_a_difference_is_one_of_the_losses_beside_it(runs):
    path = runs[0] / "result.json"
    row = json.loads(path.read_text())
    change(path, difference={**row["difference"], "value": row["difference"]["value"] + 0.1})
    with pytest.raises(ConfigError, match="the difference of .* cannot be .*; run the search"):
        show(runs[0])


def test_a_checkpoint_lacks_the_blocks_that_its_search_chose(runs, tmp_path):
    to = prunekit.export(run=runs[1], to=tmp_path / "pruned")
    row = change(to / "prunekit.json")
    swapped = {**row["search"], "removed": row["search"]["kept"][:3]}
    swapped["kept"] = [i for i in range(8) if i not in swapped["removed"]]
    for key, value, message in (
        ("search", swapped, "removed cannot be .*, as its search chose others"),
        ("evaluation", {"tasks": {}}, "evaluation.perplexities is missing"),
        ("remark", ["a"], "remark cannot be"),
    ):
        change(to / "prunekit.json", **{**row, key: value})
        with pytest.raises(ConfigError, match=f"prunekit.json: {message}.*; export the model aga"):
            show(to)


@pytest.mark.parametrize("name", ["0" * 32, "a"])
def test_a_journal_whose_first_line_is_damaged_is_named(runs, quick, name):
    folder = min(quick["workdir"].glob("journals/*"))
    (segment, *others) = sorted(folder.glob("*.jsonl"))
    segment.write_bytes(b"x" + segment.read_bytes())
    with pytest.raises(prunekit.core.PrunekitError, match=rf"{segment.name}:1: "):
        show(folder)
    for path in others:
        path.unlink()
    with pytest.raises(ConfigError, match=rf"{segment.name}:1: not the first line of a journal"):
        show(folder)


CELL = Cell("demo", "ppl", "greedy", 1, 0, 0)
RESULT = CellResult(CELL, (2,), 8, "nats", 3.5, 3.0, 0.5, 0.1, 8, 9, 9, 1.0, 100, 10)
EVALUATION = VariantEvaluation("demo", (2,), {"demo": 9.0}, {"demo": 0.5}, {"demo": 0.1})


@pytest.fixture
def study(tmp_path):
    folder = StudyFolder(tmp_path / "study")
    folder.write_cells([CELL])
    folder.write_cell(RESULT)
    folder.write_evaluation(EVALUATION)
    folder.write_importance(Importance("demo", "ppl", 0, "nats", 3.0, (3.1,) * 8))
    return folder.path


@pytest.mark.parametrize(
    ("pattern", "key", "value", "message"),
    [
        ("cells/*", "difference", 0.7, "the difference of 3.5 and 3.0 cannot be 0.7"),
        ("cells/*", "standard_error", -1.0, "standard_error cannot be -1.0"),
        ("cells/*", "cell", {}, "cell.model is missing"),
        ("cells/*", "signals", [1], "signals.0 cannot be 1"),
        ("cells.json", "cells", [{}], "cells.0.model is missing"),
        ("cells.json", "cells", [{**vars(CELL), "seed": -1}], "seed cannot be -1"),
        ("evaluations/*/*", "accuracies", {"demo": 1.5}, "accuracies.demo cannot be 1.5"),
        ("evaluations/*/*", "accuracies", {"demo": "x"}, "accuracies.demo cannot be 'x'"),
        ("evaluations/*/*", "perplexities", {"demo": 0}, "perplexities.demo cannot be 0"),
        ("evaluations/*/*", "standard_errors", {"demo": -1}, "standard_errors.demo cannot be -1"),
        ("evaluations/*/*", "removed", [3], r"it is of \('demo', \[3\]\), not of"),
        ("importance/*", "draw", 1, "it is of 'demo_ppl_d1.json', not of 'demo_ppl_d0.json'"),
        ("importance/*", "singles", [None, "x"], "singles.1 cannot be 'x'"),
    ],
)
def test_a_file_of_a_study_that_cannot_be_is_named_with_its_field(
    study, pattern, key, value, message
):
    (path,) = study.glob(pattern)
    change(path, **{key: value})
    with pytest.raises(ConfigError, match=f"{path.name}: {message}.*; remove it and run the stu"):
        read_study(study)


def test_what_a_later_version_adds_to_a_study_is_passed_over(study):
    before = read_study(study)
    for path in study.rglob("*.json"):
        change(path, extra={"x": 1})
    after = read_study(study)
    assert after.runs.to_dict() == before.runs.to_dict()
    assert after.importances == before.importances


@pytest.mark.parametrize("text", ["evaluate: [demo]", "evaluate: demo"])
def test_what_a_study_asks_for_is_settings(study, text):
    (study / "study.yaml").write_text(text)
    with pytest.raises(ConfigError, match="study.yaml: evaluate: expected settings such as"):
        read_study(study)
    (study / "study.yaml").write_text("evaluate:\n")
    assert read_study(study).planned == (CELL,)
