"""A surrogate model of the loss over subsets, and its expected improvement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prunekit.core import Subset
from prunekit.plugins.searchers.finite import FiniteLosses

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

TRIALS_BETWEEN_FITS = 10


class Surrogate:
    """Fit a line in the sum of single losses, and a Gaussian process to its residuals.

    The covariance decays with the number of swaps between two subsets; on rows of 0 and 1 that is
    the squared-exponential kernel. Losses enter by rank, so that one broken subset does not
    flatten the rest. Length scale and variance are fitted every ten trials.
    """

    def __init__(self, singles: Mapping[int, float], budget: int) -> None:
        """Take the losses of removing each block alone, and the size of the subsets."""
        self.blocks = sorted(singles)
        self.budget = budget
        finite = FiniteLosses()([singles[i] for i in self.blocks])
        self.cost = dict(zip(self.blocks, _ranks(finite), strict=True))
        self.kernel: Any = None
        self.fitted_at = 0

    def most_promising(
        self, losses: Mapping[Subset, float], candidates: Sequence[Subset], count: int
    ) -> list[Subset]:
        """Return the candidates with the highest expected improvement on the lowest loss."""
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
        from scipy.stats import norm

        seen = sorted(losses, key=sorted)
        ranks = np.array(_ranks(FiniteLosses()([losses[s] for s in seen])))
        line, *_ = np.linalg.lstsq(self._line(seen), ranks, rcond=None)
        process = self._fit(seen, ranks - self._line(seen) @ line)
        mean, deviation = process.predict(self._rows(candidates), return_std=True)
        gain = ranks.min() - mean - self._line(candidates) @ line
        scale = np.maximum(deviation, 1e-9)
        improvement: Vector = gain * norm.cdf(gain / scale) + scale * norm.pdf(gain / scale)
        return improvement

    def _fit(self, seen: Sequence[Subset], residuals: Vector) -> Any:
        import warnings

        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        anew = self.kernel is None or len(seen) - self.fitted_at >= TRIALS_BETWEEN_FITS
        # |S \\ S'| swaps are a squared distance of 2 |S \\ S'| between rows of 0 and 1.
        start = ConstantKernel(0.1, (1e-4, 10)) * RBF((self.budget / 2) ** 0.5, (0.3, 30)) + (
            WhiteKernel(0.005, (1e-5, 0.1))
        )
        process = GaussianProcessRegressor(
            self.kernel or start, optimizer="fmin_l_bfgs_b" if anew else None
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an optimum at a bound is harmless here
            process.fit(self._rows(seen), residuals)
        if anew:
            self.kernel, self.fitted_at = process.kernel_, len(seen)
        return process

    def _rows(self, subsets: Sequence[Subset]) -> Vector:
        import numpy as np

        return np.array([[float(i in s) for i in self.blocks] for s in subsets])

    def _line(self, subsets: Sequence[Subset]) -> Vector:
        """Return the features of the line: a constant, and the sum of single losses."""
        import numpy as np

        return np.array([[1.0, sum(self.cost[i] for i in s)] for s in subsets])


def _ranks(values: Sequence[float]) -> list[float]:
    """Rank values from 0 to 1; ties share their mean rank."""
    from scipy.stats import rankdata

    ranks: list[float] = ((rankdata(values) - 1) / max(1, len(values) - 1)).tolist()
    return ranks
