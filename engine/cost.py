"""The cost of searches: counted in subsets and block forwards, and in seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from prunekit.core.interfaces import Meter
from prunekit.core.kept_states import KeptStates, runs_on
from prunekit.core.problem import DENSE, WHOLE, Subset, share_of, single_removals
from prunekit.core.trie import block_runs, block_runs_alone


class CostCounter:
    """Counts requests as they are made one after the other.

    >>> counter = CostCounter(n_blocks=3)
    >>> counter.add([frozenset({2}), frozenset({1})])
    >>> counter.add([frozenset({2}), frozenset({2, 1})])
    >>> counter.asked, len(counter.seen), counter.block_runs, counter.block_runs_unshared
    (4, 3, 4, 7)
    """

    def __init__(self, n_blocks: int, states: int = 0) -> None:
        """`states` is how many are kept from one request to the next."""
        self.n_blocks = n_blocks
        self.seen: set[Subset] = set()
        """the different subsets, measured on the whole calibration set"""
        self.asked = 0
        """subsets, repeats included"""
        self._shares: dict[Subset, float] = {}
        """how much of the calibration set each subset was measured on"""
        self._kept = KeptStates[bool](states)
        self._runs = self._runs_on = self._runs_unshared = 0.0

    @property
    def block_runs(self) -> int:
        """Blocks run if each subset is measured once and a request shares its prefixes."""
        return round(self._runs)

    @property
    def block_runs_on(self) -> int:
        """The same if a request goes on from the states that are kept of earlier ones."""
        return round(self._runs_on)

    @property
    def block_runs_unshared(self) -> int:
        """The same with every subset asked measured by itself."""
        return round(self._runs_unshared)

    def add(self, request: Sequence[Subset]) -> None:
        """Count one request."""
        share = share_of(request)
        self.measure(request, share)
        self.asked += len(request)
        self._runs_unshared += share * block_runs_alone(request, self.n_blocks)

    def measure(self, subsets: Sequence[Subset], share: float = WHOLE) -> None:
        """Count subsets that are measured although no searcher asked for them."""
        behind = {s: self._shares.get(s, 0.0) for s in subsets}
        steps = sorted({share, *(done for done in behind.values() if done < share)})
        for low, high in pairwise(steps):
            new = [s for s, done in behind.items() if done <= low]
            runs = block_runs(new, self.n_blocks)
            self._runs += (high - low) * runs
            if self._kept.most:
                runs = runs_on(self._kept, new, self.n_blocks)
            self._runs_on += (high - low) * runs
        self._shares |= {s: max(share, done) for s, done in behind.items()}
        if share == WHOLE:
            self.seen |= behind.keys()


def importance_cost(n_blocks: int) -> CostCounter:
    """Count what is measured of every group: the dense model, and every single removal."""
    counter = CostCounter(n_blocks)
    counter.measure([DENSE])
    counter.measure(single_removals(n_blocks))
    return counter


@dataclass(frozen=True)
class Cost:
    """The requests of one search, or of several that share what they measure.

    Counts of a dry run may differ a little from those of a search whose requests depend on losses.
    """

    asked: int = 0
    """subsets, repeats included"""
    measured: int = 0
    """different subsets, with the dense model and what else is measured anyway"""
    block_runs: int = 0
    """blocks run for all that is measured, each over the whole calibration set"""
    block_runs_on: int = 0
    """the same if requests go on from the states that are kept of earlier ones"""
    block_runs_alone: int = 0
    """blocks run if each search runs alone and shares its own prefixes"""
    block_runs_unshared: int = 0
    """the same with every subset asked measured by itself"""
    complete: bool = True
    """False if the dry run was cut off"""

    def under(self, n_objectives: int) -> Cost:
        """Return the cost if every subset is measured under several objectives."""
        names = ("block_runs", "block_runs_on", "block_runs_alone", "block_runs_unshared")
        return replace(self, **{name: n_objectives * vars(self)[name] for name in names})

    def __add__(self, other: Cost) -> Cost:
        a, b = asdict(self), asdict(other)
        sums = {name: a[name] + b[name] for name in a}
        return Cost(**{**sums, "complete": self.complete and other.complete})


TRIES = 3


@dataclass(frozen=True)
class Speed:
    """Seconds over a whole calibration set."""

    block: float
    """of one block forward"""
    subset: float
    """of what each subset takes besides: to enter the model, and its head"""

    def seconds(self, block_runs: int, subsets: int) -> float:
        """Return the time of that many block forwards for that many different subsets."""
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


ENOUGH_SECONDS = 0.3
"""Spent on one variant, after which its quickest try so far counts."""


def measure_speed_quickly(meter: Meter, of: float) -> Speed:
    """Time two variants on the meter's only batch; the whole set is `of` times as large.

    Nothing is left of them but block 0, or the first quarter of the blocks, as the head of a small
    model takes longer than a block.
    """
    n = meter.facts.n_blocks
    several = max(min(2, n), n // 4)
    _time(meter, 1, frozenset(range(1, n)))
    one, some = (_quickest(meter, frozenset(range(kept, n))) for kept in (1, several))
    block = max(0.0, some - one) / max(1, several - 1)
    times = of / meter.replicas
    return Speed(times * block, times * max(0.0, one - block))


def _quickest(meter: Meter, subset: Subset) -> float:
    tries: list[float] = []
    while len(tries) < TRIES and sum(tries) < ENOUGH_SECONDS:
        tries.append(_time(meter, 1, subset))
    return min(tries)


def _time(meter: Meter, batches: int, subset: Subset) -> float:
    start = time.perf_counter()
    for _ in meter.measure([[subset], *[[]] * (batches - 1)]):
        pass
    return time.perf_counter() - start
