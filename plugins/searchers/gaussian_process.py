"""A Gaussian process over subsets that grows with every trial (Rasmussen and Williams, ch. 2, 5).

On rows of 0 and 1 the squared distance is the number of blocks in which two subsets differ. It is
computed once for each pair, and between fits the Cholesky factor gains rows instead of being
computed anew, so that a trial costs O(n^2) in the number n of those before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

BOUNDS = ((1e-4, 10.0), (0.3, 30.0), (1e-5, 0.1))
"""of variance, length scale and noise"""
JITTER = 1e-10
"""Added to the diagonal of covariances, against rounding."""


class GaussianProcess:
    """Covariance c exp(-d / 2 l^2), and noise s of each value; c, l and s are fitted.

    `d` is the squared distance of two rows.
    """

    def __init__(self, variance: float, length: float, noise: float) -> None:
        """Begin with these parameters, and without any row."""
        import numpy as np

        self.theta: Matrix = np.log([variance, length, noise])
        """logarithms of the parameters"""
        self._rows: Matrix = np.zeros((0, 0))
        self._distances: Matrix = np.zeros((0, 0))
        self._factor: Matrix = np.zeros((0, 0))
        """lower Cholesky factor of the covariances of the rows"""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Matrix) -> None:
        """Take rows whose values the next fit or prediction is given, too."""
        import numpy as np

        own = _distances(rows, rows)
        if not len(self):
            self._rows, self._distances = rows, own
            self._factor = _cholesky(self._covariances(own))
            return
        others = _distances(self._rows, rows)
        self._factor = self._extended(others, own)
        self._distances = np.block([[self._distances, others], [others.T, own]])
        self._rows = np.concatenate([self._rows, rows])

    def fit(self, values: Matrix) -> None:
        """Find the parameters of the highest likelihood, starting from those before."""
        import numpy as np
        from scipy.optimize import minimize

        found = minimize(
            self._minus_log_likelihood,
            self.theta,
            args=(values,),
            method="L-BFGS-B",
            jac=True,
            bounds=np.log(BOUNDS),
        )
        self.theta = found.x
        self._factor = _cholesky(self._covariances(self._distances))

    def predict(self, values: Matrix, rows: Matrix) -> tuple[Matrix, Matrix]:
        """Return mean and standard deviation of the values of other rows, noise included."""
        import numpy as np
        from scipy.linalg import cho_solve, solve_triangular

        variance, _, noise = np.exp(self.theta)
        shared = self._signal(_distances(self._rows, rows))
        mean = shared.T @ cho_solve((self._factor, True), values, check_finite=False)
        explained = solve_triangular(self._factor, shared, lower=True, check_finite=False)
        left = variance + noise - np.einsum("ij,ij->j", explained, explained)
        return mean, np.sqrt(np.maximum(left, 0.0))

    def _signal(self, distances: Matrix) -> Matrix:
        """Return covariances without noise."""
        import numpy as np

        variance, length, _ = np.exp(self.theta)
        signal: Matrix = variance * np.exp(-0.5 / length**2 * distances)
        return signal

    def _covariances(self, distances: Matrix) -> Matrix:
        """Return the covariances of rows with themselves."""
        import numpy as np

        covariances = self._signal(distances)
        covariances[np.diag_indices_from(covariances)] += np.exp(self.theta[2]) + JITTER
        return covariances

    def _extended(self, others: Matrix, own: Matrix) -> Matrix:
        """Return the factor with new rows: `others` are their distances to those before."""
        import numpy as np
        from scipy.linalg import solve_triangular

        left = solve_triangular(self._factor, self._signal(others), lower=True, check_finite=False)
        corner = _cholesky(self._covariances(own) - left.T @ left)
        return np.block([[self._factor, np.zeros_like(left)], [left.T, corner]])

    def _minus_log_likelihood(self, theta: Matrix, values: Matrix) -> tuple[float, Matrix]:
        """Return it with its gradient (equations 5.8 and 5.9)."""
        import numpy as np
        from scipy.linalg import cho_solve

        self.theta = theta
        covariances = self._covariances(self._distances)
        try:
            factor = _cholesky(covariances)
        except np.linalg.LinAlgError:
            return np.inf, np.zeros_like(theta)
        weights = cho_solve((factor, True), values, check_finite=False)
        gaps = np.outer(weights, weights) - _inverse(factor)
        noise, trace = float(np.exp(theta[2])), float(np.trace(gaps))
        diagonal = np.diag_indices_from(covariances)
        covariances[diagonal] -= noise + JITTER
        gaps *= covariances
        by_length = float(np.einsum("ij,ij->", gaps, self._distances)) * np.exp(-2 * theta[1])
        gradient = 0.5 * np.array([gaps.sum(), by_length, noise * trace])
        constant = 0.5 * len(values) * np.log(2 * np.pi)
        likelihood = -0.5 * values @ weights - np.log(np.diag(factor)).sum() - constant
        return -float(likelihood), -gradient


def _distances(some: Matrix, others: Matrix) -> Matrix:
    """Return the squared distances of rows of 0 and 1, `[some, others]`."""
    distances: Matrix = some.sum(1)[:, None] + others.sum(1) - 2 * some @ others.T
    return distances


def _cholesky(matrix: Matrix) -> Matrix:
    from scipy.linalg import cholesky

    factor: Matrix = cholesky(matrix, lower=True, check_finite=False)
    return factor


def _inverse(factor: Matrix) -> Matrix:
    """Return the inverse of a matrix, given its lower Cholesky factor."""
    import numpy as np
    from scipy.linalg.lapack import dpotri

    lower, _ = dpotri(factor, lower=1)
    inverse: Matrix = np.tril(lower) + np.tril(lower, -1).T
    return inverse
