"""Standard errors of differences between losses, by the jackknife over samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from prunekit.core.measurement import Measurement, Reduce, loss_of, mean_loss


def difference_error(a: Measurement, b: Measurement, reduce: Reduce) -> float | None:
    """Return the standard error of `loss(a) - loss(b)`, measured on the same samples.

    None if one loss is not finite or there are fewer than two samples.
    """
    without = differences_without_each(a, b, reduce)
    return None if without is None else jackknife(without)


def differences_without_each(a: Measurement, b: Measurement, reduce: Reduce) -> list[float] | None:
    """Return `loss(a) - loss(b)` without each sample; None as in `difference_error`."""
    if not _comparable(a, b, reduce):
        return None
    pairs = zip(_without_each(a, reduce), _without_each(b, reduce), strict=True)
    return [x - y for x, y in pairs]


def jackknife(without: Sequence[float]) -> float:
    """Return the standard error from leave-one-out values (Efron and Stein, 1981).

    For a ratio of sums it agrees with the usual linearisation.
    """
    n = len(without)
    centre = math.fsum(without) / n
    return math.sqrt((n - 1) / n * math.fsum((x - centre) ** 2 for x in without))


def ratio_difference_error(
    a: Measurement, b: Measurement, of: Callable[[float], float] = lambda loss: loss
) -> float | None:
    """Return the standard error of `of(loss(a)) - of(loss(b))` if the loss is the mean.

    >>> one, other = Measurement((1.0, 3.0), (1.0, 1.0)), Measurement((0.0, 0.0), (1.0, 1.0))
    >>> ratio_difference_error(one, other)
    1.0
    """
    if not _comparable(a, b, lambda sums, weights: of(mean_loss(sums, weights))):
        return None
    pairs = zip(ratios_without_each(a), ratios_without_each(b), strict=True)
    return jackknife([of(x) - of(y) for x, y in pairs])


def _comparable(a: Measurement, b: Measurement, reduce: Reduce) -> bool:
    return len(a.sums) > 1 and math.inf not in (loss_of(a, reduce), loss_of(b, reduce))


def _without_each(m: Measurement, reduce: Reduce) -> Iterator[float]:
    """Return the loss without each sample; a mean takes one pass."""
    if reduce is mean_loss:
        return ratios_without_each(m)
    return (_leave_out(m, i, reduce) for i in range(len(m.sums)))


def ratios_without_each(m: Measurement) -> Iterator[float]:
    """Return the mean without each sample; NaN for a sample that has all the weight."""
    total, weight = math.fsum(m.sums), math.fsum(m.weights)
    for x, w in zip(m.sums, m.weights, strict=True):
        yield (total - x) / (weight - w) if weight > w else math.nan


def _leave_out(m: Measurement, i: int, reduce: Reduce) -> float:
    return reduce(m.sums[:i] + m.sums[i + 1 :], m.weights[:i] + m.weights[i + 1 :])
