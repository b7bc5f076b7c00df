"""Remember every measurement on disk: an append-only log that survives any kill.

One folder holds what was measured of one model under one objective. Every process appends to a
segment of its own, and reads all segments at its start, so no lock is needed, on network file
systems neither. A line is one piece:

    {"removed": [9, 12], "samples": [0, 16], "sums": [...], "weights": [...]}

A torn last line, left by a kill, is passed over; a broken line elsewhere is an error.
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from prunekit.core.errors import StorageError
from prunekit.core.problem import Subset

SCHEMA = 1
Span: TypeAlias = tuple[int, int]
"""Samples from the first up to, not including, the second."""
Values: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Sums and weights of the samples of a span."""


class Journal:
    """What is known of each subset on each span of samples."""

    def __init__(self, folder: Path, describes: Mapping[str, Any]) -> None:
        """Read what earlier processes wrote to `folder`.

        `describes` is everything that changes a number; a folder that was written for something
        else, or that cannot be read, raises StorageError.
        """
        self.folder = folder
        self.describes = dict(describes)
        self.known: dict[Subset, dict[Span, Values]] = {}
        self._segment: Path | None = None
        for path in sorted(folder.glob("*.jsonl")):
            self._read(path)

    def append(self, pieces: Sequence[tuple[Subset, Span, Values]]) -> None:
        """Write pieces, all in one write, and make sure that they reached the disk.

        Raises StorageError where that fails; what was written before stays readable.
        """
        lines = [_line(*piece) for piece in pieces]
        try:
            if self._segment is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._segment = self.folder / f"{uuid.uuid4().hex}.jsonl"
                lines.insert(0, json.dumps({"schema": SCHEMA, "describes": self.describes}))
            _write(self._segment, "\n".join(lines) + "\n")
        except OSError as error:
            self._segment = None  # its last line may be torn: what follows goes into another
            raise StorageError(
                f"cannot write to {self.folder}: {error.strerror}. All earlier measurements are "
                "safe: make room or choose another --workdir, then run the same command again"
            ) from error
        for subset, span, values in pieces:
            self.known.setdefault(subset, {})[span] = values

    def recall(self, subset: Subset, samples: int) -> list[Values] | None:
        """What is known of all samples, in their order, or None where some are missing.

        Spans may come from runs with other batch sizes, so any chain from the first sample to the
        last will do.
        """
        chains: dict[int, list[Values]] = {0: []}
        for (first, last), values in sorted(self.known.get(subset, {}).items()):
            if first in chains:
                chains[last] = [*chains[first], values]
        return chains.get(samples)

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"cannot read the journal {path}: {error}") from error
        *lines, _torn = text.split("\n")
        for number, line in enumerate(lines, start=1):
            try:
                self._take(json.loads(line), number)
            except (ValueError, KeyError, TypeError) as error:
                raise StorageError(
                    f"{path}:{number}: not a line of this journal ({error}); move the file away, "
                    "and what it held is measured again"
                ) from error

    def _take(self, row: Any, number: int) -> None:
        if number == 1:
            if row != {"schema": SCHEMA, "describes": self.describes}:
                raise ValueError("it belongs to another model, objective or calibration set")
            return
        first, last = row["samples"]
        values = _numbers(row["sums"]), _numbers(row["weights"])
        if {len(v) for v in values} != {last - first}:
            raise ValueError(f"expected {last - first} sums and weights")
        self.known.setdefault(frozenset(row["removed"]), {})[first, last] = values


def _line(subset: Subset, span: Span, values: Values) -> str:
    sums, weights = values
    row = {
        "removed": sorted(subset),
        "samples": list(span),
        "sums": [x if math.isfinite(x) else None for x in sums],
        "weights": list(weights),
    }
    return json.dumps(row, allow_nan=False)


def _numbers(row: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.inf if x is None else float(x) for x in row)


def _write(path: Path, text: str) -> None:
    with path.open("ab", buffering=0) as file:
        data = text.encode()
        while data:
            data = data[file.write(data) :]
        os.fsync(file.fileno())
