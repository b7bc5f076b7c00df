"""Read the lines of a journal quickly where they look as `write_line` writes them.

Nothing is believed that `read_line` would refuse: what has another form, or any number that is
unusual, is left to it.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from array import array
from typing import NamedTuple

from prunekit.engine.journal_line import CHECK, LENGTH, Span, read_line
from prunekit.engine.pieces import Pieces, key_of

NUMBER = rb"(?:0|[1-9][0-9]{0,8})"
REMOVED = re.compile(rb'\{"removed": \[((?:%b(?:, %b)*)?)\]' % (NUMBER, NUMBER))
OF_NUMBERS = b"0123456789+-.eE, "


class Line(NamedTuple):
    """A piece in the form in which it is kept."""

    key: bytes
    frame: int
    sums: array[float]


class LineReader:
    """Reads lines for `pieces`."""

    def __init__(self, pieces: Pieces, n_blocks: int, n_samples: int) -> None:
        """`n_blocks` and `n_samples` are those of the model and of the calibration set."""
        self._pieces = pieces
        self._limits = n_blocks, n_samples
        self._frames: dict[tuple[bytes, bytes], tuple[int, Span]] = {}
        """by the texts of samples and weights that `read_line` accepted"""

    def read(self, line: bytes, is_checked: bool) -> Line:
        """Parse a line, without its end. Raises ValueError as `read_line` does."""
        quickly = self._read_quickly(line) if is_checked else None
        return quickly or self._read_slowly(line, is_checked)

    def _read_slowly(self, line: bytes, is_checked: bool) -> Line:
        subset, span, (sums, weights) = read_line(line, is_checked, *self._limits)
        frame = self._pieces.frame(span, weights)
        if is_checked and (texts := _texts(line)):
            self._frames[texts.samples, texts.weights] = frame, span
        return Line(key_of(subset), frame, array("d", sums))

    def _read_quickly(self, line: bytes) -> Line | None:
        """Return None unless all of the line is as `write_line` writes it."""
        texts = _texts(line)
        if texts is None or line[-LENGTH:] != CHECK % zlib.crc32(line[:-LENGTH]):
            return None
        known = self._frames.get((texts.samples, texts.weights))
        key = self._key(texts.removed)
        if known is None or key is None:
            return None
        frame, (first, last) = known
        sums = _finite_sums(texts.sums)
        return Line(key, frame, sums) if sums is not None and len(sums) == last - first else None

    def _key(self, removed: bytes) -> bytes | None:
        """Return the text of block numbers in order; None if they are anything else."""
        found = REMOVED.fullmatch(removed)
        if found is None:
            return None
        key = found[1]
        if self._pieces.knows(key):
            return key
        numbers = [int(word) for word in key.split(b", ")] if key else []
        in_order = numbers == sorted(set(numbers)) and max(numbers, default=-1) < self._limits[0]
        return key if in_order else None


class _Texts(NamedTuple):
    """The parts of a line; together with their separators they are all of it."""

    removed: bytes
    samples: bytes
    sums: bytes
    weights: bytes


def _texts(line: bytes) -> _Texts | None:
    body = line[:-LENGTH]
    head, _, weights = body.rpartition(b', "weights": ')
    head, _, sums = head.rpartition(b', "sums": ')
    removed, _, samples = head.rpartition(b', "samples": ')
    return _Texts(removed, samples, sums, weights) if removed else None


def _finite_sums(text: bytes) -> array[float] | None:
    """Return numbers written as a list; None if it is not a list of finite numbers alone."""
    if text.translate(None, OF_NUMBERS) != b"[]":
        return None
    try:
        sums = array("d", json.loads(text.decode()))
    except (ValueError, OverflowError):
        return None
    return sums if math.isfinite(sum(sums)) else None
