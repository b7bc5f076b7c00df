"""What was measured of a pruned variant: numbers for every calibration sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prunekit.core.problem import Subset

Reduce: TypeAlias = Callable[[Sequence[float], Sequence[float]], float]
"""From the sums and weights of all samples to one loss."""


@dataclass(frozen=True)
class Piece:
    """The part of a measurement that one batch of samples contributes."""

    subset: Subset
    batch: int
    sums: tuple[float, ...]
    weights: tuple[float, ...]


def check_piece(piece: Piece, samples: int) -> None:
    """Raise an error unless it has a sum, and a finite weight above 0, for each of the samples."""
    if len(piece.sums) != samples or len(piece.weights) != samples:
        raise ValueError(
            f"`measure` must give {samples} sums and weights, one a sample; it gave "
            f"{len(piece.sums)} sums and {len(piece.weights)} weights"
        )
    if not all(isinstance(x, int | float) for x in (*piece.sums, *piece.weights)):
        raise TypeError(f"`measure` must give numbers, not {piece.sums} and {piece.weights}")
    if not all(0 < weight < math.inf for weight in piece.weights):
        raise ValueError(f"`measure` must give finite weights above 0, not {piece.weights}")


@dataclass(frozen=True)
class Measurement:
    """What one pruned variant scored on every calibration sample.

    `sums` are in nats, one a sample; `weights` are the tokens or items behind each sum.
    """

    sums: tuple[float, ...]
    weights: tuple[float, ...]


def mean_loss(sums: Sequence[float], weights: Sequence[float]) -> float:
    """Sum of sums over sum of weights, as most objectives want it.

    >>> mean_loss([1.0, 5.0], [1.0, 2.0])
    2.0
    """
    total = math.fsum(weights)
    return math.fsum(sums) / total if total else math.nan


def loss_of(measurement: Measurement, reduce: Reduce) -> float:
    """The loss; whatever is not finite, of either sign, is the worst possible: +inf."""
    if not all(map(math.isfinite, measurement.sums)):
        return math.inf
    loss = reduce(measurement.sums, measurement.weights)
    return loss if math.isfinite(loss) else math.inf


def difference_error(a: Measurement, b: Measurement, reduce: Reduce) -> float | None:
    """Standard error of `loss(a) - loss(b)`, both measured on the same samples.

    None where one loss is not finite or there are fewer than two samples.
    """
    without = differences_without_each(a, b, reduce)
    return None if without is None else jackknife(without)


def differences_without_each(a: Measurement, b: Measurement, reduce: Reduce) -> list[float] | None:
    """`loss(a) - loss(b)` without each of the samples in turn; None as above."""
    if not _comparable(a, b, reduce):
        return None
    pairs = zip(_without_each(a, reduce), _without_each(b, reduce), strict=True)
    return [x - y for x, y in pairs]


def jackknife(without: Sequence[float]) -> float:
    """Standard error from the values that leave out one sample each (Efron and Stein, 1981).

    For a ratio of sums it agrees with the usual linearisation.
    """
    n = len(without)
    centre = math.fsum(without) / n
    return math.sqrt((n - 1) / n * math.fsum((x - centre) ** 2 for x in without))


def ratio_difference_error(
    a: Measurement, b: Measurement, of: Callable[[float], float] = lambda loss: loss
) -> float | None:
    """The same for `of(loss)`, where the loss is the mean.

    >>> one, other = Measurement((1.0, 3.0), (1.0, 1.0)), Measurement((0.0, 0.0), (1.0, 1.0))
    >>> ratio_difference_error(one, other)
    1.0
    """
    if not _comparable(a, b, lambda sums, weights: of(mean_loss(sums, weights))):
        return None
    pairs = zip(_ratios_without_each(a), _ratios_without_each(b), strict=True)
    return jackknife([of(x) - of(y) for x, y in pairs])


def _comparable(a: Measurement, b: Measurement, reduce: Reduce) -> bool:
    return len(a.sums) > 1 and math.inf not in (loss_of(a, reduce), loss_of(b, reduce))


def _without_each(m: Measurement, reduce: Reduce) -> Iterator[float]:
    """The loss without each sample; of a mean in one pass."""
    if reduce is mean_loss:
        return _ratios_without_each(m)
    return (_leave_out(m, i, reduce) for i in range(len(m.sums)))


def _ratios_without_each(m: Measurement) -> Iterator[float]:
    total, weight = math.fsum(m.sums), math.fsum(m.weights)
    for x, w in zip(m.sums, m.weights, strict=True):
        yield (total - x) / (weight - w) if weight > w else math.nan


def _leave_out(m: Measurement, i: int, reduce: Reduce) -> float:
    return reduce(m.sums[:i] + m.sums[i + 1 :], m.weights[:i] + m.weights[i + 1 :])
