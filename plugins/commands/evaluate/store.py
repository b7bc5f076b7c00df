"""Evaluations on disk: scores shared by all runs, and the record in the folder of each run.

A score is one file under its model and subset, named after everything else that changes it:
protocol and tokens, or task, items, limit and version of lm-eval; in 16 bits also how they were
batched.

`evaluation.json` in the folder of a run is all that was ever evaluated of it. Numbers measured in
another way, say on fewer items or in another dtype, are kept side by side; the same one measured
again replaces the older.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

from prunekit.core.errors import ConfigError
from prunekit.core.measurement import Measurement
from prunekit.core.problem import Subset
from prunekit.engine.files import write_text
from prunekit.engine.rounding import depends_on_layout
from prunekit.engine.stored import check_fields, finite, read_stored, subset_name
from prunekit.plugins.commands.evaluate.comparison import SCHEMA, EvaluationResult, Row
from prunekit.plugins.commands.evaluate.scores import PerplexityScore, TaskScore

SCORE_SCHEMA = 1
AGAIN = "remove it and evaluate again"
PERPLEXITY = {
    "sums": tuple[float | None, ...],
    "weights": tuple[float, ...],
    "record": Mapping[str, Any],
}
FILE = "evaluation.json"
PARTS = ("perplexities", "tasks")
SPEED_ONLY = ("batch_size",)
"""Parts of a record that change a number in 16 bits alone."""


class ScoreStore:
    """The scores of one model, which its fingerprint identifies."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, str]) -> None:
        self.fingerprint = fingerprint
        self.folder = folder / _digest(sorted(fingerprint.items()))

    def perplexity(self, removed: Subset, name: str, key: str) -> PerplexityScore | None:
        """Read the score under a protocol and `key`, None if it was not measured."""
        path = self._path(removed, name, key)
        if not path.is_file():
            return None
        row = read_stored(path, SCORE_SCHEMA, PERPLEXITY, AGAIN, _check_sums)
        sums = tuple(math.inf if x is None else x for x in row["sums"])
        return PerplexityScore(name, Measurement(sums, tuple(row["weights"])), row["record"])

    def task(self, removed: Subset, name: str, key: str) -> TaskScore | None:
        """Read the score on a task under `key`, None if it was not measured."""
        path, hints = self._path(removed, name, key), get_type_hints(TaskScore)
        if not path.is_file():
            return None
        row = read_stored(path, SCORE_SCHEMA, hints, AGAIN)
        return TaskScore(**{name: row[name] for name in hints} | {"items": tuple(row["items"])})

    def keep(self, removed: Subset, key: str, score: PerplexityScore | TaskScore) -> None:
        """Write a score. Raises StorageError if that fails."""
        if isinstance(score, PerplexityScore):
            m = score.measurement
            values = {"sums": finite(m.sums), "weights": m.weights, "record": score.record}
        else:
            values = asdict(score)
        row = {
            "schema": SCORE_SCHEMA,
            "name": score.name,
            "removed": sorted(removed),
            "model": dict(self.fingerprint),
            **values,
        }
        text = json.dumps(row, allow_nan=False)
        write_text(self._path(removed, score.name, key), text + "\n")

    def _path(self, removed: Subset, name: str, key: str) -> Path:
        word = re.sub(r"[^\w.]+", "-", name)[-40:].strip("-.")
        return self.folder / subset_name(removed) / f"{word}-{_digest(name, key)}.json"


def _check_sums(row: Mapping[str, Any]) -> None:
    if len(row["sums"]) != len(row["weights"]) or not all(w > 0 for w in row["weights"]):
        raise ValueError("expected a weight above 0 for each sum")


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class _StoredRow(Row):
    """A row of `evaluation.json`, with the rest of how it was measured."""

    fingerprint: Mapping[str, str]
    versions: Mapping[str, str]


def add_to_record(result: EvaluationResult, folder: Path) -> None:
    """Add a result to the record of a run. Raises StorageError if it cannot be written."""
    row = result.as_dict()
    made = {"fingerprint": row.pop("fingerprint"), "versions": row.pop("versions")}
    before = read_record(folder) or {part: {} for part in PARTS}
    for part in PARTS:
        merged = {name: list(rows) for name, rows in before[part].items()}
        for name, value in row[part].items():
            new = {**value, **made}
            others = [old for old in merged.pop(name, []) if _way(old) != _way(new)]
            merged[name] = [*others, new]
        row[part] = merged
    write_text(folder / FILE, json.dumps(row, indent=2, allow_nan=False) + "\n")


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read the record of a run: by protocol and by task a list of rows, the newest last.

    None if nothing was evaluated. Raises ConfigError if it cannot be read.
    """
    path = folder / FILE
    hints = {part: Mapping[str, tuple[_StoredRow, ...]] for part in PARTS}
    return read_stored(path, SCHEMA, hints, AGAIN) if path.is_file() else None


def rows_of(record: Mapping[str, Any]) -> list[Row]:
    """List the perplexities, then the tasks; those of one name together, the newest last.

    Raises ConfigError if the record holds something else.
    """
    hints = get_type_hints(Row)
    try:
        stored = [row for part in PARTS for rows in record[part].values() for row in rows]
        for row in stored:
            check_fields(row, hints)
        return [Row(**{name: row[name] for name in hints}) for row in stored]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{FILE} does not hold valid evaluations ({error}); {AGAIN}") from error


def _way(row: Mapping[str, Any]) -> str:
    """Serialise how a row was measured."""
    without = ("metrics",) if depends_on_layout(row["fingerprint"]) else ("metrics", *SPEED_ONLY)
    record = {k: v for k, v in row["record"].items() if k not in without}
    return json.dumps([record, row["fingerprint"], row["versions"]], sort_keys=True)
