"""Count what a search costs: its requests, a dry run on made-up losses, and seconds."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from prunekit.core.driver import Driver
from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Meter, Searcher
from prunekit.core.problem import DENSE, Problem, Subset
from prunekit.core.trie import block_runs, block_runs_alone
from prunekit.engine.signals import synthetic_signals


class CostCounter:
    """Counts requests as they are made one after the other.

    >>> counter = CostCounter(n_blocks=3)
    >>> counter.add([frozenset({2}), frozenset({1})])
    >>> counter.add([frozenset({2}), frozenset({2, 1})])
    >>> counter.asked, len(counter.seen), counter.block_runs, counter.block_runs_alone
    (4, 3, 4, 7)
    """

    def __init__(self, n_blocks: int) -> None:
        self.n_blocks = n_blocks
        self.seen: set[Subset] = set()
        """the different subsets"""
        self.asked = 0
        """subsets, repeats included"""
        self.block_runs = 0
        """blocks run where each subset is measured once and a request shares its prefixes"""
        self.block_runs_alone = 0
        """the same with every subset asked measured by itself"""

    def add(self, request: Sequence[Subset]) -> None:
        """Count one request."""
        self.measure(request)
        self.asked += len(request)
        self.block_runs_alone += block_runs_alone(request, self.n_blocks)

    def measure(self, subsets: Sequence[Subset]) -> None:
        """Count subsets that are measured though nobody asked for them."""
        new = set(subsets) - self.seen
        self.seen |= new
        self.block_runs += block_runs(new, self.n_blocks)


MOST_SUBSETS = 100_000


@dataclass(frozen=True)
class Cost:
    """What a search asks for. Searchers that depend on losses may differ a little in earnest."""

    asked: int
    """subsets, repeats included"""
    measured: int
    """different subsets; the dense model is one of them"""
    block_runs: int
    """blocks run, each over the whole calibration set"""
    block_runs_alone: int
    """the same with every subset asked measured by itself"""
    complete: bool
    """False where the rehearsal was cut off"""

    def under(self, n_objectives: int) -> Cost:
        """The same where every subset is measured under several objectives."""
        return replace(
            self,
            block_runs=n_objectives * self.block_runs,
            block_runs_alone=n_objectives * self.block_runs_alone,
        )


def rehearse(
    searcher: Searcher,
    problem: Problem,
    seconds: float = math.inf,
    also: Sequence[Subset] = (),
) -> Cost:
    """Run the searcher against losses that look like those of a model, and count.

    `also` is measured whatever the searcher asks for. Cut off after about that many seconds, and
    after MOST_SUBSETS subsets.
    """
    end = time.monotonic() + seconds
    signals = synthetic_signals(searcher, problem.n_blocks)
    driver = Driver(copy.deepcopy(searcher), replace(problem, signals=signals))
    counter = CostCounter(problem.n_blocks)
    counter.measure([DENSE])
    counter.measure(also)

    def evaluate(request: Sequence[Subset]) -> list[float]:
        counter.add(request)
        return [made_up_loss(s, problem.n_blocks) for s in request]

    driver.run(evaluate, lambda: driver.asked >= MOST_SUBSETS or time.monotonic() >= end)
    return Cost(
        asked=driver.asked,
        measured=len(counter.seen),
        block_runs=counter.block_runs,
        block_runs_alone=counter.block_runs_alone,
        complete=driver.request is None,
    )


def made_up_loss(removed: Subset, n_blocks: int) -> float:
    """Like a language model's: early and last blocks are dear, neighbours dearer together."""
    prices = _prices(n_blocks)
    pairs = sum(0.3 * (prices[i] + prices[i + 1]) for i in removed if i + 1 in removed)
    return 2.0 + sum(prices[i] for i in sorted(removed)) + pairs


@cache
def _prices(n_blocks: int) -> list[float]:
    depth = max(1, n_blocks - 1)
    noise = random.Random(n_blocks)
    prices = [0.05 + 0.1 * noise.random() + 2 * math.exp(-8 * i / depth) for i in range(n_blocks)]
    prices[-1] += 0.5
    return prices


def uses_chance(searcher: Searcher, problem: Problem, seeds: Sequence[int]) -> bool:
    """Whether the searcher asks for other subsets, or chooses others, when the seed is another.

    It is rehearsed on made-up losses with every seed, and only if nothing differs from beginning to
    end it uses no chance. What cannot be rehearsed that far counts as chance, and so does what
    fails, which the study then reports for each seed.
    """
    if len(seeds) < 2:
        return False
    try:
        signals = synthetic_signals(searcher, problem.n_blocks)
        drivers = [
            Driver(copy.deepcopy(searcher), replace(problem, seed=seed, signals=signals))
            for seed in seeds
        ]
        return not _agree(drivers, problem.n_blocks)
    except PrunekitError:
        return True


def _agree(drivers: Sequence[Driver], n_blocks: int) -> bool:
    first = drivers[0]
    while first.request is not None and first.asked < MOST_SUBSETS:
        requests = [list(driver.request or ()) for driver in drivers]
        if any(request != requests[0] for request in requests):
            return False
        losses = [made_up_loss(subset, n_blocks) for subset in requests[0]]
        for driver in drivers:
            driver.answer(losses)
    return all(driver.request is None and driver.removed == first.removed for driver in drivers)


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
