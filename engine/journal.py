"""Remember every measurement on disk: an append-only log that survives any kill.

One folder holds the measurements of one model under one objective. Every process appends to a
segment of its own and reads those of the others at its start and before each request, so no lock is
needed, not even on network file systems. A line is one piece:

    {"removed": [9, 12], "samples": [0, 16], "sums": [...], "weights": [...], "check": "9ae61c05"}

Segments of schema 1 have no checksums and are still read. A torn last line, left by a kill, is
ignored. Any other line that is broken, or that contradicts another, is an error.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prunekit.core.errors import StorageError
from prunekit.core.problem import Subset, words
from prunekit.engine.journal_line import Span, Values, contradict, read_row, write_line
from prunekit.engine.journal_scan import Line, LineReader
from prunekit.engine.pieces import Pieces, key_of, subset_of
from prunekit.engine.rounding import depends_on_layout

SCHEMA = 2
WITHOUT_CHECK = 1
"""The schema of segments whose lines have no checksum."""
SPREAD_IN_16_BITS = 1.0
"""Tolerance between two measurements of a sample in 16 bits, times the root of its weight.

Batches and threads are part of the key, but processors with other instructions round differently:
on SmolLM2-135M by up to 0.33 for a margin of weight 1, and by 3.8 for a perplexity of weight 95."""


class Journal:
    """The measurements of each subset on each span of samples."""

    def __init__(
        self,
        folder: Path,
        describes: Mapping[str, Any],
        n_blocks: int = sys.maxsize,
        n_samples: int = sys.maxsize,
    ) -> None:
        """Read what other processes wrote to `folder`.

        `describes` is everything that changes a number; `n_blocks` and `n_samples` are those of the
        model and of the calibration set, if known. Raises StorageError if the folder belongs to
        something else, or if it is unreadable or inconsistent.
        """
        self.folder = folder
        self.describes = dict(describes)
        self.known = Pieces()
        self._reader = LineReader(self.known, n_blocks, n_samples)
        self._segment: Path | None = None
        self._own: set[Path] = set()
        self._read: dict[Path, tuple[int, int]] = {}
        """the bytes and the lines read of each other segment"""
        self._checked: set[Path] = set()
        """segments whose lines have checksums"""
        self._is_open = False
        self.refresh()
        self._is_open = True

    def refresh(self) -> None:
        """Read what other processes have written since."""
        for path in sorted(set(self.folder.glob("*.jsonl")) - self._own):
            self._read_on(path)

    def append(self, pieces: Sequence[tuple[Subset, Span, Values]]) -> None:
        """Append pieces in one write and flush them to disk.

        Raises StorageError if that fails; earlier lines stay readable.
        """
        lines = [write_line(*piece) for piece in pieces]
        try:
            if self._segment is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._segment = self.folder / f"{uuid.uuid4().hex}.jsonl"
                self._own.add(self._segment)
                lines.insert(0, json.dumps({"schema": SCHEMA, "describes": self.describes}))
            _write(self._segment, "\n".join(lines) + "\n")
        except OSError as error:
            self._segment = None  # its last line may be torn, so start another
            raise StorageError(
                f"cannot write to {self.folder}: {error.strerror}. All earlier measurements are "
                "safe: make room or choose another --workdir, then run the same command again"
            ) from error
        for subset, span, (sums, weights) in pieces:
            frame = self.known.frame(span, weights)
            self._keep(Line(key_of(subset), frame, array("d", sums)))

    def recall(self, subset: Subset, samples: int) -> list[Values] | None:
        """Return the values of the first samples, in order, or None if some are missing.

        Spans may come from runs with other batch sizes, so any chain that begins with the first
        sample is accepted. The last span may reach beyond `samples`.
        """
        chain = self.chain(subset, samples)
        if chain is None:
            return None
        values = self.known.get(subset, {})
        return [values[span] for span in chain]

    def chain(self, subset: Subset, samples: int) -> list[Span] | None:
        """Return the spans of `recall`, or None if it would be None."""
        chains: dict[int, list[Span]] = {0: []}
        for first, last in self.known.spans(subset):
            if first in chains:
                chains[last] = [*chains[first], (first, last)]
        ends = [end for end in chains if end >= samples]
        return chains[min(ends)] if ends else None

    def _read_on(self, path: Path) -> None:
        """Read the new lines of a segment; the last may be half-written."""
        start, before = self._read.get(path, (0, 0))
        try:
            if path.stat().st_size <= start:
                return
            with path.open("rb") as file:
                file.seek(start)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # another process may be about to write the rest
                    before, start = before + 1, start + len(line)
                    self._take(path, before, line[:-1])
        except OSError as error:
            raise StorageError(f"cannot read the journal {path}: {error.strerror}") from error
        self._read[path] = start, before

    def _take(self, path: Path, number: int, line: bytes) -> None:
        """Keep what a line says. Raises StorageError if it is no line of this journal."""
        try:
            if number == 1:
                self._begin(path, read_row(line))
                return
            piece = self._reader.read(line, path in self._checked)
            if self.known.overlaps(piece.key, piece.frame) and not self.known.holds(*piece):
                self._compare(path, number, piece)
        except ValueError as error:
            raise StorageError(
                f"{path}:{number}: not a line of this journal ({error}); move the file away, and "
                "what it held is measured again"
            ) from error
        self._keep(piece)

    def _begin(self, path: Path, row: Any) -> None:
        for schema in (SCHEMA, WITHOUT_CHECK):
            if row == {"schema": schema, "describes": self.describes}:
                if schema == SCHEMA:
                    self._checked.add(path)
                return
        raise ValueError("it belongs to another model, objective or calibration set")

    def _compare(self, path: Path, number: int, line: Line) -> None:
        spread = SPREAD_IN_16_BITS if depends_on_layout(self.describes) else 0.0
        subset, piece = subset_of(line.key), self.known.piece(line.frame, line.sums)
        for other in self.known[subset].items():
            if contradict(piece, other, spread):
                start = json.dumps({"removed": sorted(subset), "samples": other[0]})[:-1]
                raise ValueError(
                    f"without blocks {words(subset)} it says something else than "
                    f"{self._line_of(start, but=(path, number))}; if in doubt, mistrust both"
                )

    def _line_of(self, start: str, but: tuple[Path, int]) -> str:
        """Find the file and number of another line with this start."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.startswith(start.encode()) and (path, number) != but:
                        return f"{path.name}:{number}"
        return "another line"

    def _keep(self, piece: Line) -> None:
        """Store a piece: of duplicates the smallest on opening, whatever the segments are called.

        After that the first one is kept, so that a loss never changes within a process.
        """
        self.known.keep(*piece, smallest=not self._is_open)


def _write(path: Path, text: str) -> None:
    with path.open("ab", buffering=0) as file:
        data = text.encode()
        while data:
            data = data[file.write(data) :]
        os.fsync(file.fileno())
