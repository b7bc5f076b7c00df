"""Measurements of a pruned model: one sum and one weight for each calibration sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Measurement:
    """The sums (in nats) and weights (tokens or items) of all samples."""

    sums: tuple[float, ...]
    weights: tuple[float, ...]

    def of(self, samples: Sequence[int]) -> Measurement:
        """Return the measurement of some of the samples.

        >>> Measurement((1.0, 3.0, 5.0), (1.0, 1.0, 2.0)).of([2, 0])
        Measurement(sums=(5.0, 1.0), weights=(2.0, 1.0))
        """
        return Measurement(
            tuple(self.sums[i] for i in samples), tuple(self.weights[i] for i in samples)
        )


def check_piece(piece: Piece, samples: int) -> None:
    """Raise ValueError or TypeError unless each sample has a sum and a finite positive weight."""
    check_values(piece.sums, piece.weights, samples)


def check_values(sums: Sequence[float], weights: Sequence[float], samples: int) -> None:
    """Raise ValueError or TypeError unless each sample has a sum and a finite positive weight."""
    if len(sums) != samples or len(weights) != samples:
        raise ValueError(
            f"`measure` must give {samples} sums and weights, one a sample; it gave "
            f"{len(sums)} sums and {len(weights)} weights"
        )
    if not all(isinstance(x, int | float) for x in (*sums, *weights)):
        raise TypeError(f"`measure` must give numbers, not {sums} and {weights}")
    if not all(0 < weight < math.inf for weight in weights):
        raise ValueError(f"`measure` must give finite weights above 0, not {weights}")


def mean_loss(sums: Sequence[float], weights: Sequence[float]) -> float:
    """Divide the sum of sums by the sum of weights, the reduction of most objectives.

    >>> mean_loss([1.0, 5.0], [1.0, 2.0])
    2.0
    """
    total = math.fsum(weights)
    return math.fsum(sums) / total if total else math.nan


def loss_of(measurement: Measurement, reduce: Reduce) -> float:
    """Return the loss; anything that is not finite, of either sign, becomes +inf, the worst."""
    if not all(map(math.isfinite, measurement.sums)):
        return math.inf
    loss = reduce(measurement.sums, measurement.weights)
    return loss if math.isfinite(loss) else math.inf
