"""Do two models that answered the same items differ? Tests and intervals for pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from prunekit.core.measurement import Measurement
from prunekit.engine.reading import Difference

LEVEL = 0.05
"""A difference with a p-value below this one is significant."""
RESAMPLES = 1999
AT_ONCE = 2_000_000
"""Values drawn together by a bootstrap, which bounds its memory."""


def mcnemar(a_only: int, b_only: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    `a_only` items were right in one model alone, `b_only` in the other alone; without a difference
    each of these is a toss of a coin (McNemar, Psychometrika 1947).

    >>> mcnemar(1, 7), mcnemar(0, 0)
    (0.0703125, 1.0)
    """
    from scipy.stats import binomtest

    n = a_only + b_only
    return float(binomtest(a_only, n).pvalue) if n else 1.0


def discordant(a: Sequence[float], b: Sequence[float]) -> tuple[int, int] | None:
    """Count the items that only `a` has right, and only `b`; None if not all are 0 or 1.

    >>> discordant([1.0, 1.0, 0.0], [0.0, 1.0, 0.0])
    (1, 0)
    """
    if not {*a, *b} <= {0.0, 1.0}:
        return None
    pairs = list(zip(a, b, strict=True))
    return sum(x > y for x, y in pairs), sum(x < y for x, y in pairs)


def normal_p(difference: float, error: float) -> float:
    """Return the two-sided p-value of a difference that is normal with this standard error.

    >>> normal_p(0.0, 0.0), normal_p(0.1, 0.0), round(normal_p(1.96, 1.0), 3)
    (1.0, 0.0, 0.05)
    """
    if error == 0:
        return 0.0 if difference else 1.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def apart(difference: float, error: float) -> bool:
    """Return whether a difference with this standard error is significant at 5 %."""
    return normal_p(difference, error) < LEVEL


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that may each be compared with the level, however many they are.

    The chance that any of those without a difference falls below the level is at most the level,
    whatever depends on what (Holm, Scandinavian Journal of Statistics 1979).

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = least
    return adjusted


def are_apart(behind: Sequence[Difference]) -> list[bool]:
    """Test what is behind a first one against it, at LEVEL for all of them together (Holm).

    The first difference is that of the first one itself, which is not apart.

    >>> are_apart([Difference(0.0, 0.0), Difference(0.1, 0.1), Difference(None, None)])
    [False, False, True]
    """
    p_values = [_p_value(difference) for difference in behind[1:]]
    return [False, *(p < LEVEL for p in holm(p_values))]


def _p_value(behind: Difference) -> float:
    if behind.value is None:
        return 0.0  # a loss that is not finite
    if behind.standard_error is None:
        return 1.0
    return normal_p(behind.value, behind.standard_error)


def paired_interval(
    a: Measurement, b: Measurement, of: Callable[[Any], Any] = lambda mean: mean
) -> tuple[float, float] | None:
    """Return the 95 % interval of `of(mean of a) - of(mean of b)`, measured on the same samples.

    From the percentiles of a paired bootstrap (Efron and Tibshirani, 1993): samples are drawn with
    what both models made of them. `of` maps an array of means, sums over weights. The same
    measurements give the same interval; None below two samples, or if it is not finite.
    """
    import numpy as np
    from scipy.stats import bootstrap

    def difference(x: Any, y: Any, of_x: Any, of_y: Any, axis: int) -> Any:
        return of(x.sum(axis) / of_x.sum(axis)) - of(y.sum(axis) / of_y.sum(axis))

    n = len(a.sums)
    if n < 2 or not all(map(math.isfinite, (*a.sums, *b.sums))):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        found = bootstrap(
            tuple(map(np.array, (a.sums, b.sums, a.weights, b.weights))),
            difference,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, AT_ONCE // n),
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
