"""A surrogate model of the loss over subsets, and its expected improvement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prunekit.core import Subset
from prunekit.plugins.searchers.finite import FiniteLosses
from prunekit.plugins.searchers.gaussian_process import GaussianProcess

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

TRIALS_BETWEEN_FITS = 10
SHARE_BETWEEN_FITS = 0.05
"""Fits are rarer when they cost more and change less: beyond 200 trials, one for each 5% more."""


class Surrogate:
    """Fit a line in the sum of single losses, and a Gaussian process to its residuals.

    The covariance decays with the number of swaps between two subsets; on rows of 0 and 1 that is
    the squared-exponential kernel. Losses enter by rank, so that one broken subset does not
    flatten the rest. Length scale, variance and noise are fitted every ten trials, and more rarely
    beyond 200.
    """

    def __init__(self, singles: Mapping[int, float], budget: int) -> None:
        """Take the losses of removing each block alone, and the size of the subsets."""
        self.blocks = sorted(singles)
        self.budget = budget
        finite = FiniteLosses()([singles[i] for i in self.blocks])
        self.cost = dict(zip(self.blocks, _ranks(finite), strict=True))
        # |S \\ S'| swaps are a squared distance of 2 |S \\ S'| between rows of 0 and 1.
        self._process = GaussianProcess(variance=0.1, length=(budget / 2) ** 0.5, noise=0.005)
        self._line_of_seen: list[list[float]] = []
        self._fitted_at = 0

    def most_promising(
        self, losses: Mapping[Subset, float], candidates: Sequence[Subset], count: int
    ) -> list[Subset]:
        """Return the candidates with the highest expected improvement on the lowest loss.

        `losses` begins with those of earlier calls, in their order.
        """
        from threadpoolctl import threadpool_limits

        # Small matrices are slower on several threads, and sums then depend on their number.
        with threadpool_limits(limits=1):
            improvement = self._expected_improvement(losses, candidates)
        order = sorted(
            range(len(candidates)), key=lambda i: (-improvement[i], sorted(candidates[i]))
        )
        return [candidates[i] for i in order[:count]]

    def _expected_improvement(
        self, losses: Mapping[Subset, float], candidates: Sequence[Subset]
    ) -> Vector:
        import numpy as np
        from scipy.special import ndtr

        ranks = np.array(_ranks(FiniteLosses()(list(losses.values()))))
        line, residuals = self._learn(list(losses)[len(self._process) :], ranks)
        mean, deviation = self._process.predict(residuals, self._rows(candidates))
        gain = ranks.min() - mean - np.array(self._line(candidates)) @ line
        scale = np.maximum(deviation, 1e-9)
        density = np.exp(-0.5 * (gain / scale) ** 2) / np.sqrt(2 * np.pi)
        improvement: Vector = gain * ndtr(gain / scale) + scale * density
        return improvement

    def _learn(self, new: Sequence[Subset], ranks: Vector) -> tuple[Vector, Vector]:
        """Take new subsets and the ranks of all; return the line, and the residuals."""
        import numpy as np

        self._process.add(self._rows(new))
        self._line_of_seen += self._line(new)
        features = np.array(self._line_of_seen)
        line, *_ = np.linalg.lstsq(features, ranks, rcond=None)
        residuals: Vector = ranks - features @ line
        pause = max(TRIALS_BETWEEN_FITS, SHARE_BETWEEN_FITS * self._fitted_at)
        if not self._fitted_at or len(ranks) - self._fitted_at >= pause:
            self._process.fit(residuals)
            self._fitted_at = len(ranks)
        return line, residuals

    def _rows(self, subsets: Sequence[Subset]) -> Vector:
        import numpy as np

        return np.array([[float(i in s) for i in self.blocks] for s in subsets])

    def _line(self, subsets: Sequence[Subset]) -> list[list[float]]:
        """Return the features of the line: a constant, and the sum of single losses."""
        return [[1.0, sum(self.cost[i] for i in sorted(s))] for s in subsets]


def _ranks(values: Sequence[float]) -> list[float]:
    """Rank values from 0 to 1; ties share their mean rank."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts + 1) / 2
    ranks: list[float] = (mean_rank[place] / max(1, len(values) - 1)).tolist()
    return ranks
