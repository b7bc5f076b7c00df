"""The contract of a tracker."""

from __future__ import annotations

import tempfile
from pathlib import Path

from prunekit.core.errors import PrunekitError, one_line
from prunekit.core.tracker import Tracker
from prunekit.testing.contract import Checker, ContractError, silent

PROJECT, RUN = "prunekit-check", "check"
SETTINGS = {"searcher": "greedy", "budget": 2, "rate": 0.5, "adapter": None}
POINTS = [(10, 0.75), (40, 0.5), (160, 0.25)]
RESULTS: dict[str, float | str] = {"difference": 0.25, "removed": "2,5"}


def check_tracker(tracker: Tracker) -> None:
    """Raise ContractError unless the tracker takes two runs, one after the other.

    Each has settings, a curve, results and a file; the second has the name of the first. It writes
    to wherever the tracker writes: give it a folder or a server for that. `end` must return a text,
    also of a run in which nothing was passed on, and nothing may be written to standard output.
    """
    checker = Checker("tracker", tracker)
    checker.check_class()
    with tempfile.TemporaryDirectory() as folder, silent(checker):
        file = Path(folder, "result.json")
        file.write_text("{}\n", encoding="utf-8")
        for part in ("all", "again", "nothing"):
            try:
                where = _write(tracker, file, empty=part == "nothing")
            except PrunekitError:
                raise
            except Exception as error:
                raise ContractError(
                    f"{checker.who} failed ({one_line(error)}); it must take one run after another"
                ) from error
            if not isinstance(where, str):
                raise ContractError(
                    f"{checker.who}: `end` must return a text, not {where!r}; an empty one will do"
                )


def _write(tracker: Tracker, file: Path, empty: bool) -> object:
    tracker.begin(PROJECT, RUN, SETTINGS)
    if not empty:
        for step, value in POINTS:
            tracker.log({"best above dense": value}, step)
        tracker.summarise(RESULTS)
        tracker.keep([file])
    return tracker.end()
