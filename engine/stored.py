"""Validate the JSON files that commands write when they are read back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset

LARGEST_NUMBER, LARGEST_COUNT = 1e100, 2**63
"""Upper bounds of measurements and counts, so that sums of them are finite."""


def finite(value: Any) -> Any:
    """Return plain data with None for numbers that are not finite, which JSON cannot hold."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def fits(value: Any, hint: Any) -> bool:
    """Return True if plain data match an annotation; a dataclass is an object with its fields.

    >>> fits([1, None], tuple[float | None, ...]), fits("12", tuple[int, ...]), fits(True, int)
    (True, False, False)
    """
    origin, of = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in of)
    if origin is tuple:
        return isinstance(value, (list, tuple)) and all(fits(item, of[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, dict) and all(fits(item, of[1]) for item in value.values())
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and not isinstance(value, hint):
        hints = get_type_hints(hint)
        return isinstance(value, dict) and all(
            name in value and fits(value[name], of) for name, of in hints.items()
        )
    if hint is float:
        return type(value) in (int, float) and abs(value) <= LARGEST_NUMBER
    if hint is int:
        return type(value) is int and abs(value) <= LARGEST_COUNT
    return isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)


def check_counts(row: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError if one of these numbers is known and below 0."""
    for name in names:
        if row[name] is not None and row[name] < 0:
            raise ValueError(f"{name} cannot be {row[name]!r}")


def check_removed(removed: Sequence[int], n_blocks: int, budget: int | None = None) -> None:
    """Raise ValueError unless these are distinct blocks of a model, `budget` of them if known."""
    if len(set(removed)) != len(removed) or not all(0 <= i < n_blocks for i in removed):
        raise ValueError(f"removed must be different blocks of 0 to {n_blocks - 1}, not {removed}")
    if budget is not None and len(removed) != budget:
        raise ValueError(f"removed must be {budget} blocks, not {removed}")


def check_kept(kept: Sequence[int], removed: Sequence[int], n_blocks: int) -> None:
    """Raise ValueError unless these are the remaining blocks."""
    if len(kept) + len(removed) != n_blocks or sorted([*kept, *removed]) != [*range(n_blocks)]:
        raise ValueError(f"kept must be the blocks that are not removed, not {kept}")


def subset_name(removed: Subset | Sequence[int]) -> str:
    """Return a subset as a file name.

    >>> subset_name(frozenset({5, 2})), subset_name(frozenset())
    ('2-5', 'dense')
    """
    return "-".join(map(str, sorted(removed))) or "dense"


def read_stored(
    path: Path,
    schema: int | None,
    needed: Mapping[str, Any] | Collection[str],
    again: str,
    check: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Read the object in a file; `again` is the advice for a broken one.

    Raises ConfigError if it cannot be read, is not JSON, has another schema (None is no schema) or
    lacks a key, if a value does not match its annotation in `needed`, or if `check` raises
    ValueError.
    """
    row = read_json(path, again)
    if not isinstance(row, dict) or row.get("schema") != schema or set(needed) - set(row):
        expected = f"a record of schema {schema}" if schema else f"a record of {', '.join(needed)}"
        raise ConfigError(f"{path}: expected {expected}; {again}")
    try:
        if isinstance(needed, Mapping):
            check_fields(row, needed)
        check(row)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; {again}") from error
    return row


def check_fields(row: Any, hints: Mapping[str, Any]) -> None:
    """Raise ValueError unless each of these keys has a value that matches its annotation."""
    if not isinstance(row, dict) or set(hints) - set(row):
        raise ValueError(f"expected {', '.join(hints)}, not {row!r}")
    for name, hint in hints.items():
        if not fits(row[name], hint):
            raise ValueError(f"{name} cannot be {row[name]!r}")


def read_json(path: Path, again: str) -> Any:
    """Read a JSON file. Raises ConfigError if it cannot be read or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}); {again}") from error


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"it has no {word}")
