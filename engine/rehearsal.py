"""Rehearse a search on made-up losses, to know its cost before any is paid."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from prunekit.core.driver import Driver
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import DENSE, Problem, Subset
from prunekit.engine.signals import synthetic_signals
from prunekit.engine.tally import Tally

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
    tally = Tally(problem.n_blocks)
    tally.measure([DENSE])
    tally.measure(also)

    def evaluate(request: Sequence[Subset]) -> list[float]:
        tally.add(request)
        return [made_up_loss(s, problem.n_blocks) for s in request]

    driver.run(evaluate, lambda: driver.asked >= MOST_SUBSETS or time.monotonic() >= end)
    return Cost(
        asked=driver.asked,
        measured=len(tally.seen),
        block_runs=tally.block_runs,
        block_runs_alone=tally.block_runs_alone,
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
