"""What a run cost, over all the sessions that worked at it.

A session is a process that searches; it ends, is stopped or is killed. Each keeps a record of its
own in the run's folder, `work/ID.json`, written anew whenever the journal is, so that a kill loses
nothing of what was spent and two sessions at once do not undo each other's.
"""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from prunekit.core.files import write_text
from prunekit.workflows.session import Session
from prunekit.workflows.stored import read_stored

SCHEMA = 1


@dataclass(frozen=True)
class Spent:
    """What was measured anew, and how long that took."""

    measured: int = 0
    block_runs: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.measured + other.measured,
            self.block_runs + other.block_runs,
            self.seconds + other.seconds,
        )


class Account:
    """The record of one session, which begins now, beside those of earlier ones."""

    def __init__(self, run: Path, session: Session) -> None:
        self._session = session
        self._folder = run / "work"
        self._own = self._folder / f"{uuid.uuid4().hex}.json"
        self._over = (run / "result.json").is_file()
        self._measured, self._block_runs = session.measured, session.block_runs
        self._start = time.perf_counter()

    def keep(self) -> None:
        """Write down what this session spent so far.

        Only to look again at what a search found is no part of its cost.
        """
        measured = self._session.measured - self._measured
        block_runs = self._session.block_runs - self._block_runs
        if measured or block_runs or not self._over:
            seconds = round(time.perf_counter() - self._start, 3)
            row = {"schema": SCHEMA, **dataclasses.asdict(Spent(measured, block_runs, seconds))}
            write_text(self._own, json.dumps(row) + "\n")

    def total(self) -> Spent:
        """What all sessions wrote down; ConfigError where a record is broken."""
        return sum(map(_read, sorted(self._folder.glob("*.json"))), start=Spent())


def _read(path: Path) -> Spent:
    names = [field.name for field in dataclasses.fields(Spent)]
    row = read_stored(path, SCHEMA, names, "remove it, and what it held is not counted")
    return Spent(**{name: row[name] for name in names})
