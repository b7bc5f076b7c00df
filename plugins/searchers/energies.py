"""Energies of subsets: the sum of Q[i, j] over i and j in S, for a symmetric Q.

The diagonal of Q holds the fields; each coupling is split over both sides of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunekit.core import Subset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


STEP = 2.0**-36


def energy(q: Matrix, subset: Subset) -> float:
    chosen = sorted(subset)
    return float(q[chosen][:, chosen].sum())


def step_of(q: Matrix) -> float:
    """Return the step such that energies rounding to the same multiple count as equal.

    It is far above the effect of summation order and far below any difference that matters.
    """
    import numpy as np

    return STEP * float(np.abs(q).max()) or 1.0
