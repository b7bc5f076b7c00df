"""Columns of a table, with the best of each group marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from prunekit.plugins.commands.report.measures import Summary
from prunekit.plugins.commands.report.table import Entry

NOTHING = "–"
Value = Summary | float | None


def column(
    values: Sequence[Value],
    digits: int = 2,
    best: Callable[[Sequence[float]], float] | None = None,
    mark: str = "best",
) -> list[Entry]:
    """One column of a group; where two or more are known, those equal to the best are marked.

    >>> [entry.text for entry in column([Summary(0.5, 0.25, 2), None, 3.0])]
    ['0.50 ± 0.25', '–', '3.00']
    >>> [entry.mark for entry in column([1.0, 2.0, None, 2.0], best=max)]
    ['', 'best', '', 'best']
    """
    means = [value.mean if isinstance(value, Summary) else value for value in values]
    known = [mean for mean in means if mean is not None and math.isfinite(mean)]
    top = best(known) if best and len(known) > 1 else None
    return [
        Entry(_text(value, digits), mark if top is not None and mean == top else "")
        for value, mean in zip(values, means, strict=True)
    ]


def _text(value: Value, digits: int) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, Summary):
        spread = f" ± {value.deviation:,.{digits}f}" if value.deviation else ""
        return _text(value.mean, digits) + spread
    return f"{value:,.{digits}f}" if math.isfinite(value) else "∞"
