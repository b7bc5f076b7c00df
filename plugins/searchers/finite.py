"""Finite losses, for surrogate models that cannot handle infinity."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["FiniteLosses"]


class FiniteLosses:
    """Replace losses that are not finite by the largest finite loss seen so far.

    >>> finite = FiniteLosses()
    >>> finite([1.0, float("inf"), 3.0]), finite([float("inf"), 2.0])
    ([1.0, 3.0, 3.0], [3.0, 2.0])
    """

    def __init__(self) -> None:
        self.worst: float | None = None

    def __call__(self, losses: Sequence[float]) -> list[float]:
        """Return the losses, all finite."""
        finite = [loss for loss in losses if math.isfinite(loss)]
        self.worst = max([*finite, *([] if self.worst is None else [self.worst])], default=None)
        filler = 0.0 if self.worst is None else self.worst
        return [loss if math.isfinite(loss) else filler for loss in losses]
