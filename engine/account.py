"""Count what a run cost, over all the sessions that worked at it.

A session is a process that searches; it ends, is stopped or is killed. Each keeps a record of its
own in the run's folder, `work/ID.json`, written anew whenever the journal is, so that a kill loses
nothing of what was spent and two sessions at once do not undo each other's. Each counts what it
measured itself, even if another measures the same at that time.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from prunekit.core.errors import ConfigError, StorageError
from prunekit.engine.files import write_text
from prunekit.engine.result import Work, read_result
from prunekit.engine.session import Session
from prunekit.engine.stored import read_stored

SCHEMA = 1
KEPT = ("measured", "block_runs", "seconds")
"""What a session adds to the cost of its run; the searcher decides the rest."""


class Account:
    """The record of one session, which begins now, beside those of earlier ones."""

    def __init__(self, run: Path, session: Session) -> None:
        self._session = session
        self._folder = run / "work"
        self._own = self._folder / f"{uuid.uuid4().hex}.json"
        self._reported = _reported(run)
        self._before = Work(measured=session.measured, block_runs=session.block_runs)
        self._start = time.perf_counter()

    def keep(self) -> None:
        """Write down what this session spent so far.

        Looking again at what a search found is no part of its cost. If it cannot be written, the
        search goes on: the next call makes up for it, and `total` counts it anyway.
        """
        spent = self._spent()
        if spent != Work():
            row = {"schema": SCHEMA, **{name: vars(spent)[name] for name in KEPT}}
            with contextlib.suppress(StorageError):
                write_text(self._own, json.dumps(row) + "\n")

    def total(self) -> Work:
        """Return what all sessions spent, no less than the run's result says.

        The result says more if a session could not write its record. Raises ConfigError for a
        broken record.
        """
        others = sorted(set(self._folder.glob("*.json")) - {self._own})
        return sum(map(_read, others), start=self._spent()) | self._reported

    def _spent(self) -> Work:
        measured = self._session.measured - self._before.measured
        block_runs = self._session.block_runs - self._before.block_runs
        if self._reported != Work() and not (measured or block_runs):
            return Work()
        seconds = round(time.perf_counter() - self._start, 3)
        return Work(measured=measured, block_runs=block_runs, seconds=seconds)


def _read(path: Path) -> Work:
    hints = {name: get_type_hints(Work)[name] for name in KEPT}
    again = "remove it, and what it held is not counted"
    return _work(read_stored(path, SCHEMA, hints, again, _check_positive))


def _check_positive(row: Mapping[str, Any]) -> None:
    if min(row[name] for name in KEPT) < 0:
        raise ValueError("what was spent cannot be negative")


def _reported(run: Path) -> Work:
    """Return the cost that an earlier result of the run gives; nothing if none can be read."""
    try:
        return _work(read_result(run)["work"])
    except ConfigError:
        return Work()


def _work(row: Mapping[str, Any]) -> Work:
    return Work(**{name: row[name] for name in KEPT})
