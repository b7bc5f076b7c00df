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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

from prunekit.core.measurement import Measurement
from prunekit.core.problem import Subset
from prunekit.engine.files import write_text
from prunekit.engine.plain import shortened
from prunekit.engine.result import check_of_run
from prunekit.engine.rounding import depends_on_layout
from prunekit.engine.stored import (
    check_counts,
    check_difference,
    check_fields,
    finite,
    read_stored,
    restored,
    subset_name,
)
from prunekit.plugins.commands.evaluate.comparison import SCHEMA, EvaluationResult, Row
from prunekit.plugins.commands.evaluate.scores import PerplexityScore, TaskScore

SCORE_SCHEMA = 1
AGAIN = "remove it and evaluate again"
PERPLEXITY = {
    "sums": tuple[float | None, ...],
    "weights": tuple[float, ...],
    "record": Mapping[str, Any],
}
PROTOCOL = {"tokens": int, "digest": str}
TASK = {"items": int, "metrics": Mapping[str, Any]}
"""What is read back of the records of perplexities and tasks."""
FILE = "evaluation.json"
PARTS = ("perplexities", "tasks")
RESULTS = ("metrics", "chance")
SPEED_ONLY = ("batch_size",)
"""Parts of a record that say what came out, and that change a number in 16 bits alone."""


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
        row = self._read(path, PERPLEXITY, removed, name, _check_sums)
        sums = tuple(math.inf if x is None else x for x in row["sums"])
        return PerplexityScore(name, Measurement(sums, tuple(row["weights"])), row["record"])

    def task(self, removed: Subset, name: str, key: str) -> TaskScore | None:
        """Read the score on a task under `key`, None if it was not measured."""
        path, hints = self._path(removed, name, key), get_type_hints(TaskScore)
        if not path.is_file():
            return None
        row = self._read(path, hints, removed, name, _check_task)
        return restored(TaskScore, row)

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

    def _read(
        self,
        path: Path,
        hints: Mapping[str, Any],
        removed: Subset,
        name: str,
        check: Callable[[Mapping[str, Any]], None],
    ) -> dict[str, Any]:
        """Read a score. Raises ConfigError if it is damaged, or of another model or subset."""
        wanted = {"name": name, "removed": sorted(removed), "model": dict(self.fingerprint)}

        def check_all(row: Mapping[str, Any]) -> None:
            check(row)
            for key, value in wanted.items():
                if row.get(key, value) != value:
                    raise ValueError(f"{key} is {shortened(row[key])}, not {shortened(value)}")

        return read_stored(path, SCORE_SCHEMA, hints, AGAIN, check_all)

    def _path(self, removed: Subset, name: str, key: str) -> Path:
        word = re.sub(r"[^\w.]+", "-", name)[-40:].strip("-.")
        return self.folder / subset_name(removed) / f"{word}-{_digest(name, key)}.json"


def _check_sums(row: Mapping[str, Any]) -> None:
    if len(row["sums"]) != len(row["weights"]) or not all(w > 0 for w in row["weights"]):
        raise ValueError("expected a weight above 0 for each sum")
    check_fields(row["record"], PROTOCOL, "record")


def _check_task(row: Mapping[str, Any]) -> None:
    check_fields(row["record"], TASK, "record")


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
    del row["continuations"]  # they are read, not compared; the same command writes them again
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
    if not path.is_file():
        return None

    def check(row: Mapping[str, Any]) -> None:
        check_evaluations(row)
        check_fields(row, {"removed": tuple[int, ...]} if "removed" in row else {})
        weights = (stored["fingerprint"].get("weights") for stored in _stored(row))
        check_of_run(folder, row.get("removed", ()), *filter(None, weights))

    return read_stored(path, SCHEMA, (), AGAIN, check)


def check_evaluations(record: Any, name: str = "") -> None:
    """Raise ValueError unless plain data is the record of a run, which is called `name`."""
    check_fields(record, dict.fromkeys(PARTS, Mapping[str, tuple[_StoredRow, ...]]), name)
    for part, count in zip(PARTS, ("tokens", "items"), strict=True):
        for row in (row for rows in record[part].values() for row in rows):
            name = f"{part}.{row['name'][:40]}"
            check_counts({"p": None, **row}, "standard_error", "p", name=name)
            check_difference(row["difference"], row["pruned"], row["dense"])
            check_fields(row["record"], {count: int}, f"{name}.record")
            if ratio := row.get("log_ratio"):
                check_counts(ratio, "standard_error", "samples", name=f"{name}.log_ratio")


def rows_of(record: Mapping[str, Any]) -> list[Row]:
    """List the perplexities, then the tasks; those of one name together, the newest last."""
    return [restored(Row, row) for row in _stored(record)]


def _stored(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for part in PARTS for rows in record[part].values() for row in rows]


def _way(row: Mapping[str, Any]) -> str:
    """Serialise how a row was measured."""
    without = RESULTS if depends_on_layout(row["fingerprint"]) else (*RESULTS, *SPEED_ONLY)
    record = {k: v for k, v in row["record"].items() if k not in without}
    return json.dumps([record, row["fingerprint"], row["versions"]], sort_keys=True)
