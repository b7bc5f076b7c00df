"""Readings on disk, so that nothing is measured twice or lost.

A reading is one file under the model and the subset that it is of, named after all else that
changes it: protocol and tokens, or task, items, limit and version of lm-eval; in 16 bits also how
they were batched.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from prunekit.core.measurement import Measurement
from prunekit.core.problem import Subset
from prunekit.engine.files import write_text
from prunekit.engine.stored import finite, read_stored, subset_name
from prunekit.plugins.commands.evaluate.readings import PerplexityReading, TaskReading

SCHEMA = 1
AGAIN = "remove it and evaluate again"
PERPLEXITY = {
    "sums": tuple[float | None, ...],
    "weights": tuple[float, ...],
    "record": Mapping[str, Any],
}


class ReadingStore:
    """The readings of one model, as its fingerprint tells it from others."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, str]) -> None:
        self.fingerprint = fingerprint
        self.folder = folder / _digest(sorted(fingerprint.items()))

    def perplexity(self, removed: Subset, name: str, digest: str) -> PerplexityReading | None:
        """What was kept of this protocol on these tokens, None where it was not measured."""
        row = self._read(self._path(removed, name, digest), PERPLEXITY, _check_sums)
        if row is None:
            return None
        sums = tuple(math.inf if x is None else x for x in row["sums"])
        return PerplexityReading(name, Measurement(sums, tuple(row["weights"])), row["record"])

    def task(self, removed: Subset, name: str, digest: str) -> TaskReading | None:
        """What was kept of this task on these items."""
        hints = get_type_hints(TaskReading)
        row = self._read(self._path(removed, name, digest), hints)
        if row is None:
            return None
        values = {name: row[name] for name in hints}
        return TaskReading(**{**values, "items": tuple(values["items"])})

    def keep(self, removed: Subset, digest: str, reading: PerplexityReading | TaskReading) -> None:
        """Write a reading; StorageError where that fails."""
        if isinstance(reading, PerplexityReading):
            m = reading.measurement
            values = {"sums": finite(m.sums), "weights": m.weights, "record": reading.record}
        else:
            values = {f.name: getattr(reading, f.name) for f in dataclasses.fields(reading)}
        row = {
            "schema": SCHEMA,
            "name": reading.name,
            "removed": sorted(removed),
            "model": dict(self.fingerprint),
            **values,
        }
        text = json.dumps(row, allow_nan=False)
        write_text(self._path(removed, reading.name, digest), text + "\n")

    def _path(self, removed: Subset, name: str, digest: str) -> Path:
        word = re.sub(r"[^\w.]+", "-", name)[-40:].strip("-.")
        return self.folder / subset_name(removed) / f"{word}-{_digest(name, digest)}.json"

    def _read(
        self,
        path: Path,
        hints: Mapping[str, Any],
        check: Callable[[dict[str, Any]], None] = lambda row: None,
    ) -> dict[str, Any] | None:
        return read_stored(path, SCHEMA, hints, AGAIN, check) if path.is_file() else None


def _check_sums(row: Mapping[str, Any]) -> None:
    if len(row["sums"]) != len(row["weights"]) or not all(w > 0 for w in row["weights"]):
        raise ValueError("expected a weight above 0 for each sum")


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
