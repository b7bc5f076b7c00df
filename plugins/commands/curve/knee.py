"""The knee of a curve: the budget after which another block costs clearly more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Knee:
    """The point of a curve that lies furthest below its chord."""

    budget: int
    below: float
    """the distance, in the unit of the loss"""
    last: int
    """the budget at which the chord ends; another one may have another knee"""


def knee_of(budgets: Sequence[int], losses: Sequence[float]) -> Knee | None:
    """Return where the loss lies furthest below the straight line from the first to the last point.

    This is the knee of Satopaa et al., "Finding a Kneedle in a Haystack" (2011), without smoothing.
    Points without a finite loss do not count, and of two that are equally far below, the smaller
    budget does. None if no point is below that line, as with fewer than three.

    >>> knee_of([0, 1, 2, 3, 4], [2.0, 2.0, 2.5, 4.0, 6.0])
    Knee(budget=2, below=1.5, last=4)
    >>> knee_of([0, 1, 2], [2.0, 3.0, 4.0]) is None
    True
    """
    points = [(k, x) for k, x in zip(budgets, losses, strict=True) if math.isfinite(x)]
    if len(points) < 3:
        return None
    (first, low), (last, high) = points[0], points[-1]
    slope = (high - low) / (last - first)
    below, budget = max((low + slope * (k - first) - x, -k) for k, x in points)
    return Knee(-budget, below, last) if below > 1e-9 * abs(high - low) else None
