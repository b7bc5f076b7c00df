"""Energies of subsets: the sum of Q[i, j] over i and j in S, for a symmetric Q.

Fields are on the diagonal of Q, half of each coupling on either side of it.
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
    """The energy of one subset."""
    chosen = sorted(subset)
    return float(q[chosen][:, chosen].sum())


def step_of(q: Matrix) -> float:
    """Energies that round to the same multiple of this step count as equal.

    It is far above what the order of additions changes, and far below any loss that matters.
    """
    import numpy as np

    return STEP * float(np.abs(q).max()) or 1.0
