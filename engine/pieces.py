"""Hold the measurements of many subsets in little memory.

The sums of all pieces are in one array of doubles. Spans and weights, which most subsets share, are
kept once, and a subset is the text that a line of the journal has for it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence

from prunekit.core.problem import Subset
from prunekit.engine.journal_line import Span, Values

END, FIRST_PIECE, PIECE = 0, 1, 2
NONE = array("q", [0])
"""Of a subset that was not measured."""


class Pieces(Mapping[Subset, Mapping[Span, Values]]):
    """The values of each subset on each span of samples."""

    def __init__(self) -> None:
        self._subsets: dict[bytes, array[int]] = {}
        """by key: the end of the last span; of each piece its frame and where its sums are"""
        self._sums = array("d")
        self._frames: list[tuple[Span, tuple[float, ...]]] = []
        """the different pairs of a span and its weights"""
        self._numbers: dict[tuple[Span, tuple[float, ...]], int] = {}

    def __getitem__(self, subset: Subset) -> dict[Span, Values]:
        pieces = self._pieces(self._subsets[key_of(subset)])
        return dict(self.piece(frame, self._cut(frame, start)) for frame, start in pieces)

    def __iter__(self) -> Iterator[Subset]:
        return map(subset_of, self._subsets)

    def __len__(self) -> int:
        return len(self._subsets)

    @property
    def end(self) -> int:
        """The end of the last span of any subset."""
        return max((span[1] for span, _ in self._frames), default=0)

    def spans(self, subset: Subset) -> list[Span]:
        """Return the spans on which a subset was measured, in order."""
        pieces = self._pieces(self._subsets.get(key_of(subset), NONE))
        return sorted(self._frames[frame][0] for frame, _ in pieces)

    def knows(self, key: bytes) -> bool:
        """Return whether any piece of a subset is kept."""
        return key in self._subsets

    def piece(self, frame: int, sums: array[float]) -> tuple[Span, Values]:
        """Return a piece with its span and weights."""
        span, weights = self._frames[frame]
        return span, (tuple(sums), weights)

    def frame(self, span: Span, weights: Sequence[float]) -> int:
        """Return the number of a span with these weights, under which pieces are kept."""
        frame = span, tuple(weights)
        if frame not in self._numbers:
            self._numbers[frame] = len(self._frames)
            self._frames.append(frame)
        return self._numbers[frame]

    def overlaps(self, key: bytes, frame: int) -> bool:
        """Return False if no sample of a piece was measured before; True if one may have been."""
        return self._frames[frame][0][0] < self._subsets.get(key, NONE)[END]

    def holds(self, key: bytes, frame: int, sums: array[float]) -> bool:
        """Return whether this very piece is kept already."""
        pieces = self._pieces(self._subsets.get(key, NONE))
        return any(other == frame and self._cut(frame, start) == sums for other, start in pieces)

    def keep(self, key: bytes, frame: int, sums: array[float], smallest: bool) -> None:
        """Keep a piece: of several on one span the first, or the `smallest`."""
        start = self._start(key, frame)
        if start is None:
            known = self._subsets.setdefault(key, NONE[:])
            known.extend((frame, len(self._sums)))
            known[END] = max(known[END], self._frames[frame][0][1])
            self._sums.extend(sums)
        elif smallest and sums < self._cut(frame, start):
            self._sums[start : start + len(sums)] = sums

    def _cut(self, frame: int, start: int) -> array[float]:
        first, last = self._frames[frame][0]
        return self._sums[start : start + last - first]

    def _start(self, key: bytes, frame: int) -> int | None:
        """Return where the sums are that a subset has on the span of a frame."""
        if not self.overlaps(key, frame):
            return None
        span, pieces = self._frames[frame][0], self._pieces(self._subsets[key])
        return next((start for other, start in pieces if self._frames[other][0] == span), None)

    @staticmethod
    def _pieces(known: array[int]) -> Iterator[tuple[int, int]]:
        return zip(known[FIRST_PIECE::PIECE], known[FIRST_PIECE + 1 :: PIECE], strict=True)


def key_of(subset: Subset) -> bytes:
    """Return the blocks of a subset as a line of the journal has them.

    >>> key_of(frozenset({12, 9}))
    b'9, 12'
    """
    return ", ".join(map(str, sorted(subset))).encode()


def subset_of(key: bytes) -> Subset:
    """Return the subset that a line of the journal names.

    >>> sorted(subset_of(b"9, 12"))
    [9, 12]
    """
    return frozenset(map(int, key.split(b", "))) if key else frozenset()
