"""Count what a run cost, over all the sessions that worked at it.

A session is a process that searches; it ends, is stopped or is killed. Each keeps a record of its
own in the run's folder, `work/ID.json`, written anew whenever the journal is, so that a kill loses
nothing of what was spent and two sessions at once do not undo each other's. Each counts what it
measured itself, even if another measures the same at that time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import operator
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from prunekit.core.errors import ConfigError, StorageError
from prunekit.engine.files import write_text
from prunekit.engine.result import read_result
from prunekit.engine.session import Session
from prunekit.engine.stored import read_stored

SCHEMA = 1


@dataclass(frozen=True)
class Spent:
    """The number of new measurements, and the time they took."""

    measured: int = 0
    block_runs: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return self._with(other, operator.add)

    def __or__(self, other: Spent) -> Spent:
        """Return the larger of each number, as both count the same work."""
        return self._with(other, max)

    def _with(self, other: Spent, choose: Callable[[Any, Any], Any]) -> Spent:
        return Spent(*map(choose, dataclasses.astuple(self), dataclasses.astuple(other)))


class Account:
    """The record of one session, which begins now, beside those of earlier ones."""

    def __init__(self, run: Path, session: Session) -> None:
        self._session = session
        self._folder = run / "work"
        self._own = self._folder / f"{uuid.uuid4().hex}.json"
        self._reported = _reported(run)
        self._before = Spent(session.measured, session.block_runs)
        self._start = time.perf_counter()

    def keep(self) -> None:
        """Write down what this session spent so far.

        Looking again at what a search found is no part of its cost. If it cannot be written, the
        search goes on: the next call makes up for it, and `total` counts it anyway.
        """
        spent = self._spent()
        if spent != Spent():
            row = {"schema": SCHEMA, **dataclasses.asdict(spent)}
            with contextlib.suppress(StorageError):
                write_text(self._own, json.dumps(row) + "\n")

    def total(self) -> Spent:
        """Return what all sessions spent, no less than the run's result says.

        The result says more if a session could not write its record. Raises ConfigError for a
        broken record.
        """
        others = sorted(set(self._folder.glob("*.json")) - {self._own})
        return sum(map(_read, others), start=self._spent()) | self._reported

    def _spent(self) -> Spent:
        measured = self._session.measured - self._before.measured
        block_runs = self._session.block_runs - self._before.block_runs
        if self._reported != Spent() and not (measured or block_runs):
            return Spent()
        return Spent(measured, block_runs, round(time.perf_counter() - self._start, 3))


def _read(path: Path) -> Spent:
    hints = get_type_hints(Spent)
    again = "remove it, and what it held is not counted"
    row = read_stored(path, SCHEMA, hints, again, _check_positive)
    return Spent(**{name: row[name] for name in hints})


def _check_positive(row: Mapping[str, Any]) -> None:
    if min(row[name] for name in get_type_hints(Spent)) < 0:
        raise ValueError("what was spent cannot be negative")


def _reported(run: Path) -> Spent:
    """Return the cost that an earlier result of the run gives; nothing if none can be read."""
    try:
        work = read_result(run)["work"]
    except ConfigError:
        return Spent()
    return Spent(work["measured"], work["block_runs"], work["seconds"])
