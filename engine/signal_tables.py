"""What the table of a signal must be, measured now or kept from before."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from prunekit.core.errors import ConfigError


def check_table(name: str, table: Any, n_blocks: int, n_samples: int) -> None:
    """ValueError unless it is a table of numbers, of the size that the signal `name` has."""
    rows, columns = {
        "gate_gradients": (n_samples, n_blocks),
        "gate_hessian": (n_blocks, n_blocks),
        "block_similarity": (n_blocks + 1, n_blocks + 1),
    }[name]
    if not _is_row(table, rows, {list, tuple}) or not all(
        _is_row(row, columns, {int, float}) for row in table
    ):
        raise ValueError(f"the signal {name!r} must be {rows} rows of {columns} numbers")


def check_finite(name: str, table: Sequence[Sequence[float]]) -> None:
    """ConfigError where a signal has a number that no searcher can reckon with."""
    if not all(math.isfinite(x) for row in table for x in row):
        raise ConfigError(
            f"the signal {name!r} of this model is not finite; try --dtype float32, or a searcher "
            "that needs losses only"
        )


def _is_row(value: Any, length: int, kinds: Collection[type]) -> bool:
    is_list = isinstance(value, (list, tuple)) and len(value) == length
    return is_list and set(map(type, value)) <= set(kinds)
