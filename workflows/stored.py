"""The JSON files that the commands leave behind: what they can hold, and how they are read back."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset


def finite(value: Any) -> Any:
    """Plain data as JSON can hold it: a number that is not finite is None."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
