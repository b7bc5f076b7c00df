"""Keep what was measured, item by item, so that a command that was killed goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from prunekit.engine.files import write_text
from prunekit.engine.progress import Progress
from prunekit.engine.stored import finite, read_stored, restored

T = TypeVar("T")
SCHEMA = 1
AGAIN = "remove it and run the command again"


def kept(
    path: Path,
    cls: type[T],
    count: int,
    make: Callable[[int], T],
    check: Callable[[int, T], None],
    progress: Progress,
) -> list[T]:
    """Return a record of `cls` for each of `count` items: those of the file, and the rest made.

    The file is replaced after each. `check` raises ValueError for a record that cannot be that of
    an item. Raises ConfigError if the file is damaged.
    """
    rows = _read(path, cls, count, check)
    for number in range(len(rows), count):
        progress.advance(number)
        rows.append(make(number))
        plain: Any = [finite(asdict(row)) for row in rows]  # type: ignore[call-overload]
        text = json.dumps({"schema": SCHEMA, "rows": plain}, allow_nan=False)
        write_text(path, text + "\n")
    progress.advance(count)
    return rows


def _read(path: Path, cls: type[T], count: int, check: Callable[[int, T], None]) -> list[T]:
    if not path.is_file():
        return []

    def check_all(row: dict[str, Any]) -> None:
        if len(row["rows"]) > count:
            raise ValueError(f"expected at most {count} rows")
        for number, one in enumerate(row["rows"]):
            check(number, restored(cls, one))

    rows: Any = tuple[cls, ...]  # type: ignore[valid-type]
    found = read_stored(path, SCHEMA, {"rows": rows}, AGAIN, check_all)
    return [restored(cls, row) for row in found["rows"]]
