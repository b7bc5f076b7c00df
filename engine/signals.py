"""Check signals of the dense model: that they can be measured, and their tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from prunekit.core.contracts import is_mix
from prunekit.core.driver import needs_of
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Objective, Searcher, Signal, Table


def synthetic_signals(searcher: Searcher, n_blocks: int) -> Mapping[str, Table]:
    """Return synthetic tables for the signals that the searcher needs."""
    with blaming("searcher", searcher):
        return {signal.name: signal.synthetic(n_blocks) for signal in needs_of(searcher)}


def check_measurable(signals: Iterable[Signal], objective: Any, parts: Iterable[Objective]) -> None:
    """Raise ConfigError if one of the signals cannot be measured under the objective.

    `parts` are the objectives of a mix, or the objective itself.
    """
    for signal in signals:
        if is_mix(objective):
            check_mixable(signal)
        for part in parts if signal.derivative else ():
            if not part.differentiable:
                raise ConfigError(
                    f"the objective {part.name!r} cannot be differentiated, which this search "
                    "needs; choose another objective, or a searcher that needs losses only"
                )


def check_mixable(signal: Signal) -> None:
    """Raise ConfigError if the signal cannot be measured under a mix of objectives."""
    if signal.derivative and "samples" in (signal.rows, signal.columns):
        raise ConfigError(
            f"a mix of objectives has no gradients for each sample ({signal.name}); choose one "
            "objective, or a searcher that does not need them (for cbo: --cbo.hessian pairwise)"
        )


def check_table(signal: Signal, table: Any, n_blocks: int, n_samples: int) -> None:
    """Raise ValueError unless `table` is a table of numbers of the signal's size."""
    rows, columns = signal.shape(n_blocks, n_samples)
    if not _is_row(table, rows, {list, tuple}) or not all(
        _is_row(row, columns, {int, float}) for row in table
    ):
        raise ValueError(f"the signal {signal.name!r} must be {rows} rows of {columns} numbers")


def check_finite(signal: Signal, table: Table) -> None:
    """Raise ConfigError if a number of the table is not finite."""
    if not all(math.isfinite(x) for row in table for x in row):
        raise ConfigError(
            f"the signal {signal.name!r} of this model is not finite; try --dtype float32, or a "
            "searcher that needs losses only"
        )


def _is_row(value: Any, length: int, kinds: Collection[type]) -> bool:
    is_list = isinstance(value, (list, tuple)) and len(value) == length
    return is_list and set(map(type, value)) <= set(kinds)
