"""Parse JSON that prunekit wrote, and refuse what it never writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

DEEPEST = 60
"""Levels of a file, so that whatever walks through it by recursion comes to its end."""


def parse_json(text: str) -> Any:
    """Parse JSON.

    Raises ValueError if it is not JSON, as NaN is not, has a key twice in one place, a number that
    is too large for a float, or is nested too deeply.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    for level, _ in enumerate(_levels(value)):
        if level > DEEPEST:
            raise ValueError("it is nested too deeply")
    return value


def shortened(value: object, most: int = 120) -> str:
    """Write a value for a message, without its middle if it is long.

    >>> shortened([1, 2]), shortened("x" * 99, most=9)
    ('[1, 2]', "'xxx...x'")
    """
    return cut(repr(value), most)


def cut(text: str, most: int = 120) -> str:
    """Return a text without its middle if it is long."""
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end]}...{text[-end:]}"


def _levels(value: Any) -> Iterator[Sequence[Any]]:
    """Yield the values of each level, the outermost first."""
    level = [value]
    while level:
        yield level
        inner = (v.values() if isinstance(v, dict) else v for v in level)
        level = [x for v in inner if not isinstance(v, (str, int, float, type(None))) for x in v]


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has {shortened(twice)} twice")
    return found


def _float(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word[:40]} is too large")
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"it has no {word}")


_DECODER = json.JSONDecoder(object_pairs_hook=_mapping, parse_float=_float, parse_constant=_refuse)
