"""Validate the JSON files that commands write when they are read back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset
from prunekit.engine.plain import parse_json, shortened

T = TypeVar("T")
LARGEST_NUMBER, LARGEST_COUNT = 1e100, 2**63
"""Upper bounds of measurements and counts, so that sums of them are finite."""


def finite(value: Any) -> Any:
    """Return plain data with None for numbers that are not finite, which JSON cannot hold."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def misfit(value: Any, hint: Any, name: str = "") -> str:
    """Describe the first part that does not match an annotation; empty if all does.

    A dataclass is an object with its fields, of which those with defaults may be missing, and
    `name` is that of the value.

    >>> misfit([1, None], tuple[float | None, ...], "x"), misfit({"a": [True]}, dict, "x")
    ('', '')
    >>> misfit({"loss": [1, "2"]}, Mapping[str, tuple[int, ...]], "x")
    "x.loss.1 cannot be '2'"
    """
    origin, of = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        found = [misfit(value, option, name) for option in of]
        return max(found, key=_length_of_name) if all(found) else ""  # the innermost part
    parts: list[tuple[Any, Any, Any]] | None = None
    if origin is tuple and isinstance(value, (list, tuple)):
        parts = [(index, item, of[0]) for index, item in enumerate(value)]
    elif origin is Mapping and isinstance(value, dict):
        parts = [(key, item, of[1]) for key, item in value.items()]
    elif dataclasses.is_dataclass(hint) and isinstance(value, dict):
        hints = get_type_hints(hint)
        if missing := [key for key in required(hint) if key not in value]:
            return f"{_joined(name, missing[0])} is missing"
        parts = [(key, value[key], of) for key, of in hints.items() if key in value]
    if parts is None:
        return "" if _is(value, hint) else f"{name} cannot be {shortened(value)}"
    return next(filter(None, (misfit(v, of, _joined(name, key)) for key, v, of in parts)), "")


def _length_of_name(message: str) -> int:
    return len(message.partition(" ")[0])


def required(cls: Any) -> list[str]:
    """Return the names of a dataclass's fields that have no default."""
    none = dataclasses.MISSING
    fields = dataclasses.fields(cls)
    return [f.name for f in fields if f.default is none and f.default_factory is none]


def _joined(name: str, key: object) -> str:
    return f"{name}.{str(key)[:40]}" if name else str(key)


def _is(value: Any, hint: Any) -> bool:
    """Return whether a value has this type and is no larger than a number may be."""
    if hint is Any:
        return True
    if hint is float:
        return type(value) in (int, float) and abs(value) <= LARGEST_NUMBER
    if hint is int:
        return type(value) is int and abs(value) <= LARGEST_COUNT
    if get_origin(hint) is not None or not isinstance(value, hint):
        return False
    return not isinstance(value, bool) or hint is bool


def fits(value: Any, hint: Any) -> bool:
    """Return True if plain data match an annotation.

    >>> fits([1, None], tuple[float | None, ...]), fits("12", tuple[int, ...]), fits(True, int)
    (True, False, False)
    """
    return not misfit(value, hint)


def check_counts(row: Mapping[str, Any], *keys: str, name: str = "") -> None:
    """Raise ValueError if one of these numbers is known and below 0; `name` is that of the row."""
    for key in keys:
        if row[key] is not None and row[key] < 0:
            raise ValueError(f"{_joined(name, key)} cannot be {row[key]!r}")


def check_difference(difference: float | None, a: float | None, b: float | None) -> None:
    """Raise ValueError unless this is a - b, where all three are known."""
    if difference is None or a is None or b is None:
        return
    if not math.isclose(difference, a - b, rel_tol=1e-6, abs_tol=1e-9 * max(abs(a), abs(b), 1)):
        raise ValueError(f"the difference of {a!r} and {b!r} cannot be {difference!r}")


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


def subset_named(name: str) -> Subset:
    """Return the subset of a name. Raises ValueError if it names none.

    >>> sorted(subset_named("2-5")), subset_named("dense") == frozenset()
    ([2, 5], True)
    """
    blocks = [] if name == "dense" else name.split("-")
    if not all(block.isdecimal() for block in blocks):
        raise ValueError(f"a subset cannot be called {shortened(name)}")
    return frozenset(map(int, blocks))


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
    return checked_row(read_json(path, again), str(path), schema, needed, again, check)


def checked_row(
    row: Any,
    where: str,
    schema: int | None,
    needed: Mapping[str, Any] | Collection[str],
    again: str,
    check: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Return an object that was read `where`, if it is as `read_stored` wants it."""
    try:
        if not isinstance(row, dict) or row.get("schema") != schema:
            what = f"a record of schema {schema}" if schema else "keys and values"
            raise ValueError(f"expected {what}")
        check_fields(row, needed if isinstance(needed, Mapping) else dict.fromkeys(needed, Any))
        check(row)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}; {again}") from error
    return row


def check_fields(row: Any, hints: Mapping[str, Any], name: str = "") -> None:
    """Raise ValueError unless each of these keys has a value that matches its annotation.

    `name` is that of the row.
    """
    if not isinstance(row, dict):
        raise ValueError(f"{name or 'expected keys and values, it'} cannot be {shortened(row)}")
    for key, hint in hints.items():
        if key not in row:
            raise ValueError(f"{_joined(name, key)} is missing")
        if found := misfit(row[key], hint, _joined(name, key)):
            raise ValueError(found)


def check_stored(row: Any, cls: type, name: str = "", **other: Any) -> None:
    """Raise ValueError unless plain data is a record of a dataclass, which may lack its defaults.

    `name` is that of the row, `other` annotations of fields that are stored in another way.
    """
    known, hints = row if isinstance(row, dict) else (), {**get_type_hints(cls), **other}
    check_fields(
        row, {n: hints[n] for n in dict.fromkeys([*required(cls), *known]) if n in hints}, name
    )


def restored(cls: type[T], row: Mapping[str, Any]) -> T:
    """Return the record of a dataclass that a row holds; a later version may write more.

    A float that was not finite is infinite.
    """
    hints = get_type_hints(cls)
    return cls(**{name: _restored(row[name], hint) for name, hint in hints.items() if name in row})


def _restored(value: Any, hint: Any) -> Any:
    origin, of = get_origin(hint), get_args(hint)
    if value is None:
        return math.inf if hint is float else None
    if origin in (Union, UnionType):
        return _restored(value, of[0])
    if origin is tuple:
        return tuple(_restored(item, of[0]) for item in value)
    if origin is Mapping:
        return {key: _restored(item, of[1]) for key, item in value.items()}
    is_record = isinstance(hint, type) and dataclasses.is_dataclass(hint)
    return restored(hint, value) if is_record else value


def read_json(path: Path, again: str) -> Any:
    """Read a JSON file. Raises ConfigError if it cannot be read or is not JSON."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}); {again}") from error
