"""Write and read the lines of a journal, a piece each.

A line ends with the CRC-32 of everything before it, so that a flipped byte is detected.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Any, TypeAlias

from prunekit.core.problem import Subset
from prunekit.engine.plain import parse_json, shortened

Span: TypeAlias = tuple[int, int]
"""Samples from the first up to, but not including, the second."""
Values: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Sums and weights of the samples of a span."""

FIELDS = {"removed", "samples", "sums", "weights"}
CHECK = b', "check": "%08x"}'
LENGTH = len(CHECK % 0)
NUMBERS = {int, float}
TOLERANCE = 0.02
"""Tolerance between two measurements of a sample in any dtype, in units of its weight or sum."""


def write_line(subset: Subset, span: Span, values: Values) -> str:
    """Format a piece as a line with its checksum; a sum that is not finite becomes null."""
    sums, weights = values
    row = {
        "removed": sorted(subset),
        "samples": list(span),
        "sums": [x if math.isfinite(x) else None for x in sums],
        "weights": list(weights),
    }
    body = json.dumps(row, allow_nan=False).encode()[:-1]
    return (body + CHECK % zlib.crc32(body)).decode()


def read_line(
    line: bytes, is_checked: bool, n_blocks: int, n_samples: int
) -> tuple[Subset, Span, Values]:
    """Parse a line, including its checksum if `is_checked`.

    `n_blocks` and `n_samples` are those of the model and of the calibration set. Raises ValueError
    if the line is invalid.
    """
    row = read_row(_without_check(line) if is_checked else line)
    if not isinstance(row, dict) or set(row) != FIELDS:
        raise ValueError(f"expected {', '.join(sorted(FIELDS))}")
    removed, span = row["removed"], row["samples"]
    if not _ascending([-1, *_list(removed), n_blocks]):
        raise ValueError(f"`removed` must be block numbers in order, not {shortened(removed)}")
    if not _ascending([-1, *_list(span), n_samples + 1]) or len(span) != 2:
        raise ValueError(f"`samples` must be a span of the calibration set, not {shortened(span)}")
    values = _sums(_list(row["sums"])), _weights(_list(row["weights"]))
    if {len(column) for column in values} != {span[1] - span[0]}:
        raise ValueError(f"expected {span[1] - span[0]} sums and weights")
    return frozenset(removed), (span[0], span[1]), values


def read_row(line: bytes) -> Any:
    """Parse the JSON of a line. Raises ValueError if it is not valid JSON, as with NaN."""
    return parse_json(line.decode())


def contradict(one: tuple[Span, Values], other: tuple[Span, Values], spread: float) -> bool:
    """Return True if two pieces of one subset differ on a common sample.

    Weights must be equal. Sums may differ by TOLERANCE times the largest of the weight and the sums
    themselves, or by `spread` times the root of the weight if that is more; a finite sum is never
    close to an infinite one.
    """
    first, last = max(one[0][0], other[0][0]), min(one[0][1], other[0][1])
    sums, weights = _cut(one, first, last)
    other_sums, other_weights = _cut(other, first, last)
    return weights != other_weights or not all(
        x == y
        or abs(x - y) <= max(TOLERANCE * max(w, abs(x), abs(y)), spread * math.sqrt(w)) < math.inf
        for x, y, w in zip(sums, other_sums, weights, strict=True)
    )


def _cut(piece: tuple[Span, Values], first: int, last: int) -> Values:
    """Return the values of these samples; nothing if `last` is not after `first`."""
    (start, _), (sums, weights) = piece
    part = slice(first - start, max(first, last) - start)
    return sums[part], weights[part]


def _without_check(line: bytes) -> bytes:
    body = line[:-LENGTH]
    if line[-LENGTH:] != CHECK % zlib.crc32(body):
        raise ValueError("its checksum is wrong: the file was damaged or edited")
    return body + b"}"


def _ascending(numbers: list[Any]) -> bool:
    return set(map(type, numbers)) == {int} and numbers == sorted(set(numbers))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, not {shortened(value)}")
    return value


def _sums(row: list[Any]) -> tuple[float, ...]:
    """Return sums as numbers; null is infinite."""
    numbers = _floats([math.inf if x is None else x for x in row])
    if numbers.count(math.inf) != row.count(None) or -math.inf in numbers:
        raise ValueError("sums must be finite, or null")
    return numbers


def _weights(row: list[Any]) -> tuple[float, ...]:
    numbers = _floats(row)
    if not 0 < min(numbers, default=1) <= max(numbers, default=1) < math.inf:
        raise ValueError("weights must be finite and above 0")
    return numbers


def _floats(row: list[Any]) -> tuple[float, ...]:
    if not set(map(type, row)) <= NUMBERS:
        raise ValueError("sums and weights must be numbers")
    try:
        return tuple(map(float, row))
    except OverflowError as error:
        raise ValueError(f"a number is too large ({error})") from error
