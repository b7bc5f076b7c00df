"""Means over the runs of a searcher, and how far its runs are apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from statistics import fmean


def average(name: str, values: Iterable[float], draws: Iterable[int]) -> dict[str, float]:
    """Return the mean of the known values as `name`, and their deviation as `name ±`.

    `draws`: the calibration draw of each value.

    >>> average("loss", [1.0, math.nan, 3.0], draws=[0, 1, 2])
    {'loss': 2.0, 'loss ±': 1.4142135623730951}
    """
    known = [(x, draw) for x, draw in zip(values, draws, strict=True) if not math.isnan(x)]
    mean = mean_of([x for x, _ in known]) if known else math.nan
    return {name: mean, f"{name} ±": _deviation(known) if math.isfinite(mean) else math.nan}


def mean_of(values: Sequence[float]) -> float:
    """Return the mean, rounded to twelve digits so that equal means tie in any order of summation.

    >>> mean_of([0.1, 0.2, 0.3]) == mean_of([0.3, 0.2, 0.1])
    True
    """
    return float(f"{fmean(values):.12g}")


def _deviation(known: Sequence[tuple[float, int]]) -> float:
    """Return the standard deviation of a run: half the mean squared difference is the variance.

    Only values of different draws are independent; with one draw, those of different seeds are
    compared instead.
    """
    pairs = list(itertools.combinations(known, 2))
    apart = [(a, b) for a, b in pairs if a[1] != b[1]] or pairs
    return math.sqrt(fmean((x - y) ** 2 for (x, _), (y, _) in apart) / 2) if apart else math.nan
