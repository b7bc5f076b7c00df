"""What a tracker is given of a search and of a study."""

import math
from pathlib import Path

import pytest

import prunekit
from prunekit.core import ConfigError, PluginError, Tracker
from prunekit.engine.result import read_result

QUICK = {"ppl": {"samples": 4, "length": 16}}
NOTES = """
from dataclasses import dataclass
from typing import ClassVar
from prunekit.core import hookimpl, option

SEEN = []

@dataclass(frozen=True)
class Notes:
    '''Note everything in a list.'''

    name: ClassVar[str] = "notes"
    broken: bool = option(False, "fail at the first point")

    def begin(self, project, run, settings):
        SEEN.append({"project": project, "run": run, "settings": settings, "points": []})

    def log(self, values, step):
        if self.broken:
            raise RuntimeError("the server is away")
        SEEN[-1]["points"].append((step, values))

    def summarise(self, values):
        SEEN[-1]["results"] = values

    def keep(self, files):
        SEEN[-1]["files"] = [path.name for path in files]

    def end(self):
        SEEN[-1]["ended"] = True
        return "here"

@hookimpl
def prunekit_trackers():
    return [Notes]
"""


@pytest.fixture
def seen(install):
    install("prunekit-notes", NOTES)
    import prunekit_notes

    return prunekit_notes.SEEN


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(workdir):
    """A search with two requests for subsets of the budget's size."""
    found = prunekit.search(
        "demo", searcher="genetic", budget=4, workdir=workdir, genetic={"population": 6}, **QUICK
    )
    return Path(found.run)


def test_a_search_is_a_run_with_its_settings_curve_results_and_files(run, workdir, seen):
    done = prunekit.track(run.name, tracker="notes", project="mine", workdir=workdir)
    (of,) = seen
    result = read_result(run)
    assert (done.runs, done.where) == ((run.name,), "here")
    assert (of["project"], of["run"], of["ended"]) == ("mine", run.name, True)
    assert of["settings"]["searcher"] == "genetic"
    assert of["settings"]["genetic.population"] == 6
    assert of["results"]["difference"] == result["difference"]["value"]
    assert of["results"]["removed"] == ",".join(map(str, result["removed"]))
    assert all(isinstance(x, str) or math.isfinite(x) for x in of["results"].values())
    assert {"config.yaml", "result.json"} <= set(of["files"])
    steps = [step for step, _ in of["points"]]
    values = [point["best above dense"] for _, point in of["points"]]
    assert steps == sorted(set(steps))
    assert values == sorted(values, reverse=True)
    assert len(values) > 1


def test_the_curve_ends_at_the_choice_of_the_search(run):
    result = read_result(run)
    own = min(f["loss"] for f in result["held_out"]["finalists"])
    last = result["improvements"][-1]["difference"]
    assert last == pytest.approx(own - result["dense"]["loss"])


def test_a_study_is_a_run_for_each_search_and_one_for_its_report(workdir, seen):
    grid = {
        "name": "grid",
        "models": ["demo"],
        "objectives": {"ppl": QUICK["ppl"]},
        "searchers": ["one-shot", "greedy"],
        "budgets": [2],
        "evaluate": {"ppl": ["demo"], "ppl_samples": 2},
    }
    prunekit.study(grid, workdir=workdir)
    prunekit.track("grid", tracker="notes", workdir=workdir)
    *searches, report = seen
    assert [of["settings"]["searcher"] for of in searches] == ["one-shot", "greedy"]
    assert all(of["results"]["perplexity"] > 1 for of in searches)
    assert report["run"] == "grid/report"
    assert {"report.html", "masks.png"} <= set(report["files"])
    assert all(of["ended"] for of in seen)


def test_a_tracker_that_fails_is_blamed_and_its_run_is_ended(run, workdir, seen):
    with pytest.raises(PluginError, match=r"tracker 'notes'.*the server is away"):
        prunekit.track(run, tracker="notes", workdir=workdir, notes={"broken": True})
    assert seen[-1]["ended"]


def test_a_name_that_is_neither_a_run_nor_a_study(workdir, seen):
    with pytest.raises(ConfigError, match="no such run or study"):
        prunekit.track("nowhere", tracker="notes", workdir=workdir)


def test_a_tracker_that_does_not_exist(run, workdir):
    with pytest.raises(ConfigError, match="no tracker is called 'trakio'. Did you mean 'trackio'"):
        prunekit.track(run, tracker="trakio", workdir=workdir)


def test_options_of_another_tracker_are_refused(run, workdir, seen):
    with pytest.raises(ConfigError, match="wandb: no such key"):
        prunekit.track(run, tracker="notes", workdir=workdir, wandb={"mode": "offline"})


@pytest.mark.parametrize("name", ["mlflow", "trackio", "wandb"])
def test_a_package_that_is_missing_is_named(run, workdir, name, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=f"{name} is not installed; pip install {name}"):
        prunekit.track(run, tracker=name, workdir=workdir)


def test_a_tracker_of_a_third_party_needs_no_base_class(seen):
    import prunekit_notes

    assert not issubclass(prunekit_notes.Notes, Tracker)
