"""The bounds of a mix: how far a subset may exceed the dense model, and what it costs to go beyond.

A loss must be finite to be a result, and must show a search which of two subsets is nearer to the
bounds. So a subset within them has its sum as loss, which stays below CEILING, and one beyond has
CEILING plus its excess: all of these come after all of the others, in the order of their excess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CEILING = 1000.0
"""In deviations of single removals, of which a sum of standardised losses has far fewer."""
UNCHANGED = CEILING / 2
"""Up to here the sum is the loss."""


@dataclass(frozen=True)
class Bound:
    """An upper bound of exp(loss - loss of the dense model) under one objective."""

    objective: str
    ratio: float

    def excess(self, loss: float, dense_loss: float) -> float:
        """Return by how much a loss is too high, in its unit; 0 within the bound."""
        return max(0.0, loss - dense_loss - math.log(self.ratio))

    def complaint(self, loss: float, dense_loss: float) -> str:
        """Say by how much a loss breaks the bound; empty if it does not."""
        if not self.excess(loss, dense_loss):
            return ""
        found = math.exp(min(loss - dense_loss, 700.0))
        return (
            f"the bound {self.objective}:{self.ratio:g} is broken: exp(loss - dense loss) is "
            f"{found:.4g}, and at most {self.ratio:g} was asked for"
        )


def below_ceiling(total: float) -> float:
    """Return a sum as it is up to UNCHANGED; beyond, it grows more slowly and stays below CEILING.

    Value and slope have no jump.

    >>> below_ceiling(-3.5), below_ceiling(500.0), below_ceiling(1000.0), below_ceiling(1e6)
    (-3.5, 500.0, 750.0, 999.75)
    """
    return total if total <= UNCHANGED else CEILING - UNCHANGED**2 / total
