"""Ticks of logarithmic axes whose labels do not lie on each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,))
"""Values in each power of ten, the finest first."""
LETTER, GAP, LINE = 0.075, 0.08, 0.17
"""Inches: the width of a digit, what lies between two labels, and the height of a line."""


def log_ticks(low: float, high: float, inches: float, upright: bool = False) -> list[float]:
    """Return round numbers from `low` to `high`, the most that have room on an axis of `inches`.

    Labels are beside each other, or above each other on an `upright` axis.
    """
    found: list[float] = []
    for ticks in _candidates(low, high):
        found = [x for x in ticks if low <= x <= high]
        if all(_apart(a, b, low, high, inches, upright) for a, b in itertools.pairwise(found)):
            break
    return found


def _candidates(low: float, high: float) -> Iterator[list[float]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in STEPS:
        yield [step * 10.0**power for power in range(first, last + 1) for step in steps]
    for stride in range(2, last - first + 2):
        yield [10.0**power for power in range(first, last + 1) if power % stride == 0]


def _apart(a: float, b: float, low: float, high: float, inches: float, upright: bool) -> bool:
    room = inches * math.log(b / a) / math.log(high / low)
    wide = LETTER * (len(number(a)) + len(number(b))) / 2 + GAP
    return room >= (LINE if upright else wide)


def set_ticks(axes: Axes, name: str, ticks: Sequence[float]) -> None:
    """Label the axis called `name` with these ticks alone."""
    axis: Any = axes.xaxis if name == "x" else axes.yaxis
    axis.set_ticks(ticks, minor=False)
    axis.set_ticks([], minor=True)
    axis.set_major_formatter(lambda value, _: number(value))
