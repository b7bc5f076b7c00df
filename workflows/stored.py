"""The JSON files that the commands leave behind: what they can hold, and how they are read back."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset


def finite(value: Any) -> Any:
    """Plain data as JSON can hold it: a number that is not finite is None."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def fits(value: Any, hint: Any) -> bool:
    """Whether plain data can be what an annotation says.

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
    kind = (int, float) if hint is float else hint
    return isinstance(value, kind) and not (isinstance(value, bool) and hint is not bool)


def subset_name(removed: Subset | Sequence[int]) -> str:
    """A subset as a file name.

    >>> subset_name(frozenset({5, 2})), subset_name(frozenset())
    ('2-5', 'dense')
    """
    return "-".join(map(str, sorted(removed))) or "dense"


def read_stored(
    path: Path, schema: int | None, needed: Collection[str], again: str
) -> dict[str, Any]:
    """The object in the file; `again` is what makes such a file anew.

    ConfigError where it cannot be read, is no JSON, or is not of this schema (None is one without)
    with these keys.
    """
    row = read_json(path, again)
    if not isinstance(row, dict) or row.get("schema") != schema or set(needed) - set(row):
        expected = f"a record of schema {schema}" if schema else f"a record of {', '.join(needed)}"
        raise ConfigError(f"{path}: expected {expected}; {again}")
    return row


def read_json(path: Path, again: str) -> Any:
    """What is in the file, whatever it is; ConfigError where it cannot be read or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}); {again}") from error
