"""Pass what was found on to an experiment tracker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.options import build
from prunekit.core.registry import load
from prunekit.core.tracker import Tracker
from prunekit.engine.quiet import quietly
from prunekit.engine.runs import RUNS, STUDIES, folder_of, unknown
from prunekit.engine.summary import Summarised, Summary
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.writing import report
from prunekit.plugins.commands.track.records import (
    BEST,
    Record,
    is_run,
    record_of_run,
    records_of_study,
)

FIGURES = (".png", ".csv", ".html")
"""Endings of the files of a report that are kept."""


@dataclass(frozen=True, repr=False)
class Tracked(Summarised):
    """The runs of a tracker that were written."""

    tracker: str
    project: str
    runs: tuple[str, ...]
    where: str
    """what the tracker says of the last one"""

    def summary(self) -> Summary:
        """Return where they are."""
        facts = {"runs": str(len(self.runs)), "where": self.where}
        return Summary(f"{self.project} in {self.tracker}", facts=facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each run."""
        return [{"run": run} for run in self.runs]


@quietly()
def track(
    name: str | Path,
    *,
    tracker: str = "trackio",
    project: str = "prunekit",
    workdir: str | Path = "prunekit-runs",
    progress: Reporting = False,
    **plugins: Mapping[str, Any],
) -> Tracked:
    """Write a finished search, or all that there is of a study, to an experiment tracker.

    `name` is that of a run or a study under `workdir`, or its folder. Each search is a run of the
    tracker: its settings, the curve of its best loss over block forwards, its results. Files of a
    run, and tables and figures of a study, are kept as artefacts. `plugins` may hold options of the
    tracker under its name, as `mlflow={"uri": "http://localhost:5000"}`. What is written twice is
    there twice.

    Raises ConfigError if there is no such run, study or tracker, or if the tracker's package is not
    installed.
    """
    made = _made(tracker, plugins)
    records = _records(Path(name), Path(workdir))
    where = ""
    with reporting(progress) as shown:
        for number, record in enumerate(records):
            shown.count("writing", number, len(records), "runs")
            with blaming("tracker", made):
                where = _write(made, project, record)
    return Tracked(tracker, project, tuple(record.name for record in records), where)


def _made(name: str, plugins: Mapping[str, Mapping[str, Any]]) -> Tracker:
    entry = load().get("tracker", name)
    if others := sorted(set(plugins) - {name, load().label(entry)}):
        raise ConfigError(
            f"{others[0]}: no such key; the options of this tracker are given under {name!r}",
            (others[0],),
        )
    made: Tracker = build(entry.cls, plugins.get(name, {}), name)
    return made


def _records(name: Path, workdir: Path) -> list[Record]:
    run, study = (folder_of(name, workdir, kind) for kind in (RUNS, STUDIES))
    if is_run(run):
        return [record_of_run(run)]
    if not study.is_dir():
        raise unknown("run or study", name, workdir)
    found = list(records_of_study(study.name, read_study(study)))
    if not found:
        raise ConfigError(f"{study}: no search of this study has finished; run it first")
    return [*found, _report_on(study)]


def _report_on(study: Path) -> Record:
    """Write the report, to keep its page, tables and figures."""
    folder = report(study).folder
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in FIGURES]
    return Record(f"{study.name}/report", {"study": study.name}, files=files)


def _write(tracker: Tracker, project: str, record: Record) -> str:
    tracker.begin(project, record.name, record.settings)
    try:
        for step, best in record.points:
            tracker.log({BEST: best}, step)
        if record.summary:
            tracker.summarise(record.summary)
        if record.files:
            tracker.keep(record.files)
    finally:
        where = tracker.end()
    return where
