"""`evaluation.json` in the folder of a run: all that was ever evaluated of it.

Numbers that were measured in another way, say on fewer items or in another dtype, stand side by
side; the same measured again replaces what was there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from prunekit.core.errors import ConfigError
from prunekit.engine.files import write_text
from prunekit.engine.rounding import depends_on_layout
from prunekit.engine.stored import check_fields, read_stored
from prunekit.plugins.commands.evaluate.comparison import SCHEMA, EvaluationResult, Row

FILE = "evaluation.json"
PARTS = ("perplexities", "tasks")
AGAIN = "remove it and evaluate again"
SPEED_ONLY = ("batch_size",)
"""Parts of a record that change a number in 16 bits alone."""


@dataclass(frozen=True)
class _Kept(Row):
    """A row in a file, with what else tells how it was measured."""

    fingerprint: Mapping[str, str]
    versions: Mapping[str, str]


def keep(result: EvaluationResult, folder: Path) -> None:
    """Add a result to what is there; StorageError where it cannot be written."""
    row = result.as_dict()
    made = {"fingerprint": row.pop("fingerprint"), "versions": row.pop("versions")}
    before = read_record(folder) or {part: {} for part in PARTS}
    for part in PARTS:
        merged = {name: list(rows) for name, rows in before[part].items()}
        for name, value in row[part].items():
            new = {**value, **made}
            others = [old for old in merged.pop(name, []) if _way(old) != _way(new)]
            merged[name] = [*others, new]
        row[part] = merged
    write_text(folder / FILE, json.dumps(row, indent=2, allow_nan=False) + "\n")


def read_record(folder: Path) -> dict[str, Any] | None:
    """What is there, None where nothing was evaluated; ConfigError where it cannot be read.

    By protocol and by task a list of rows, the newest last.
    """
    path = folder / FILE
    hints = {part: Mapping[str, tuple[_Kept, ...]] for part in PARTS}
    return read_stored(path, SCHEMA, hints, AGAIN) if path.is_file() else None


def rows_of(record: Mapping[str, Any]) -> list[Row]:
    """Perplexities, then tasks; those of one name follow each other, the newest last.

    ConfigError where the record holds something else.
    """
    hints = get_type_hints(Row)
    try:
        kept = [row for part in PARTS for rows in record[part].values() for row in rows]
        for row in kept:
            check_fields(row, hints)
        return [Row(**{name: row[name] for name in hints}) for row in kept]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{FILE} holds something else than evaluations ({error}); {AGAIN}"
        ) from error


def _way(row: Mapping[str, Any]) -> str:
    """How a row was measured."""
    without = ("metrics",) if depends_on_layout(row["fingerprint"]) else ("metrics", *SPEED_ONLY)
    record = {k: v for k, v in row["record"].items() if k not in without}
    return json.dumps([record, row["fingerprint"], row["versions"]], sort_keys=True)
