"""How long a block and a subset take here, from a few timed forwards."""

from __future__ import annotations

import time
from dataclasses import dataclass

from prunekit.core.interfaces import Meter
from prunekit.core.problem import DENSE, Subset

TRIES = 3


@dataclass(frozen=True)
class Speed:
    """Seconds over a whole calibration set."""

    block: float
    """of one block forward"""
    subset: float
    """of what each subset takes besides: to enter the model, and its head"""

    def seconds(self, block_runs: int, subsets: int) -> float:
        """What so many block forwards for so many different subsets take."""
        return block_runs * self.block + subsets * self.subset

    def __add__(self, other: Speed) -> Speed:
        return Speed(self.block + other.block, self.subset + other.subset)


def measure_speed(meter: Meter, batches: int, of: int) -> Speed:
    """Time two variants on the first of the meter's `batches`; the whole set has `of` batches.

    The dense model and one that has nothing left but block 0; of each the quickest of a few tries.
    Where the meter has several replicas, a set takes so much less time than its batches one by one.
    """
    n = meter.facts.n_blocks
    _time(meter, batches, DENSE)  # the first forward is slower than all that follow
    dense = min(_time(meter, batches, DENSE) for _ in range(TRIES))
    nearly_empty = min(_time(meter, batches, frozenset(range(1, n))) for _ in range(TRIES))
    block = max(0.0, dense - nearly_empty) / max(1, n - 1)
    times = of / meter.replicas
    return Speed(times * block, times * max(0.0, dense - n * block))


def _time(meter: Meter, batches: int, subset: Subset) -> float:
    start = time.perf_counter()
    for _ in meter.measure([[subset], *[[]] * (batches - 1)]):
        pass
    return time.perf_counter() - start
