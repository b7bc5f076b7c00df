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
LETTER, GAP, LINE = 0.08, 0.08, 0.17
"""Inches: the width of a digit, what lies between two labels, and the height of a line."""
FEW = 3
"""Fewer ticks than these leave the reader to guess."""
MOST = 6
"""Evenly spaced ticks on one axis."""
POWERS_FROM, POWERS_BELOW = 100_000, 0.0001
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def log_ticks(low: float, high: float, inches: float, upright: bool = False) -> list[float]:
    """Return round numbers from `low` to `high`, the most that have room on an axis of `inches`.

    Labels are beside each other, or above each other on an `upright` axis.
    """
    candidates = [*_candidates(low, high), *(_linear(low, high) if high < 10 * low else ())]
    inside = ([x for x in ticks if low <= x <= high] for ticks in candidates)
    fitting = [ticks for ticks in inside if _have_room(ticks, low, high, inches, upright)]
    most = max(fitting, key=len, default=[]) or [math.sqrt(low * high)]
    return next((ticks for ticks in fitting if len(ticks) >= FEW), most)


def _linear(low: float, high: float) -> Iterator[list[float]]:
    """Yield evenly spaced round numbers, for an axis too short for powers of ten, most first."""
    from matplotlib.ticker import MaxNLocator

    for most in range(MOST, 0, -1):
        locator = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10])
        yield [float(x) for x in locator.tick_values(low, high)]


def label(value: float, digits: int = 6) -> str:
    """Format a number to appear beside others; a large or tiny one with a power of ten.

    >>> label(0.25), label(20_000.0), label(1e6), label(1.608e9, 2), label(3.6e-12, 2), label(0.0)
    ('0.25', '20,000', '10⁶', '1.6·10⁹', '3.6·10⁻¹²', '0')
    """
    if POWERS_BELOW <= value < POWERS_FROM or value <= 0:
        return number(value, digits)
    power = math.floor(math.log10(value) + 1e-9)
    raised = f"10{str(power).translate(RAISED)}"
    first = number(value / 10.0**power, digits)
    return raised if first == "1" else f"{first}·{raised}"


def _candidates(low: float, high: float) -> Iterator[list[float]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in STEPS:
        yield [step * 10.0**power for power in range(first, last + 1) for step in steps]
    for stride in range(2, last - first + 2):
        yield [10.0**power for power in range(first, last + 1) if power % stride == 0]


def _have_room(
    ticks: Sequence[float], low: float, high: float, inches: float, upright: bool
) -> bool:
    return all(_apart(a, b, low, high, inches, upright) for a, b in itertools.pairwise(ticks))


def _apart(a: float, b: float, low: float, high: float, inches: float, upright: bool) -> bool:
    room = inches * math.log(b / a) / math.log(high / low)
    wide = LETTER * (len(label(a)) + len(label(b))) / 2 + GAP
    return room >= (LINE if upright else wide)


def set_ticks(axes: Axes, name: str, ticks: Sequence[float]) -> None:
    """Label the axis called `name` with these ticks alone."""
    axis: Any = axes.xaxis if name == "x" else axes.yaxis
    axis.set_ticks(ticks, minor=False)
    axis.set_ticks([], minor=True)
    axis.set_major_formatter(lambda value, _: label(value))


def stretch(axes: Axes, values: Sequence[float], inches: float) -> None:
    """Make the x axis logarithmic; if some values are 0, only beyond the lowest of the others.

    It has no more ticks than have room on `inches`.
    """
    above = [value for value in values if value > 0]
    if not above:
        return
    whole = len(above) == len(values)
    if whole:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=min(above), linscale=0.5)
    low, high = axes.get_xlim()
    ticks = log_ticks(low if whole else min(above), high, inches if whole else 0.75 * inches)
    set_ticks(axes, "x", ticks if whole else [0, *ticks])
    axes.set_xlim(low, high)
    axes.set_xlabel(f"{axes.get_xlabel()}, log scale{'' if whole else ' but for 0'}")
