"""Read back the JSON files that the commands leave behind."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError


def read_stored(path: Path, schema: int, needed: Collection[str], again: str) -> dict[str, Any]:
    """The object in the file; `again` is what makes such a file anew.

    ConfigError where it cannot be read, is no JSON, or is not of this schema with these keys.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}); {again}") from error
    if not isinstance(row, dict) or row.get("schema") != schema or set(needed) - set(row):
        raise ConfigError(f"{path}: expected a record of schema {schema}; {again}")
    return row
