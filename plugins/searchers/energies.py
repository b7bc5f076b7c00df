"""Energies of subsets: the sum of Q[i, j] over i and j in S, for a symmetric Q.

Fields stand on the diagonal of Q, half of each coupling on either side of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunekit.core import Subset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def energy(q: Matrix, subset: Subset) -> float:
    """The energy of one subset."""
    chosen = sorted(subset)
    return float(q[chosen][:, chosen].sum())
