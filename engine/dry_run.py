"""Run searchers on made-up losses: to count what they will ask for, and to see who uses chance."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import TypeVar

from prunekit.core.driver import Driver
from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import DENSE, WHOLE, Problem, Subset, share_of
from prunekit.engine.cost import Cost, CostCounter
from prunekit.engine.lockstep import LockStep
from prunekit.engine.signals import synthetic_signals

K = TypeVar("K", bound=Hashable)
MOST_SUBSETS = 100_000


def dry_run_cost(
    searcher: Searcher,
    problem: Problem,
    seconds: float = math.inf,
    also: Sequence[Subset] = (),
    states: int = 0,
) -> Cost:
    """Count the requests of one searcher; `also` is measured whatever it asks for.

    `states` is how many are kept from one request to the next.

    Cut off after about that many seconds, and after MOST_SUBSETS subsets.
    """
    measured = CostCounter(problem.n_blocks, states)
    measured.measure([DENSE])
    measured.measure(also)
    end = time.monotonic() + seconds
    cost, failed = dry_run({0: (searcher, problem)}, measured, end, also, choices=False)
    for error in failed.values():
        raise error
    return cost


def dry_run(
    searches: Mapping[K, tuple[Searcher, Problem]],
    measured: CostCounter,
    end: float = math.inf,
    also: Sequence[Subset] = (),
    choices: bool = True,
) -> tuple[Cost, dict[K, PrunekitError]]:
    """Run searches in lock-step; return their cost together, and the errors of those that fail.

    `measured` holds what is measured before them, and `also` what each would measure alone before
    anything else. The `choices` are measured in the end. Cut off when the clock is at `end`, and
    after MOST_SUBSETS subsets.
    """
    lockstep = LockStep({key: _copied(*search) for key, search in searches.items()}, also)
    costs = lockstep.costs.values()

    def evaluate(wanted: Sequence[Subset], share: float) -> dict[Subset, float]:
        chosen = lockstep.removed.values() if choices and share == WHOLE else ()
        measured.measure([*wanted, *chosen], share)
        return {subset: made_up_loss(subset, measured.n_blocks) for subset in wanted}

    def is_too_long() -> bool:
        return sum(cost.asked for cost in costs) >= MOST_SUBSETS or time.monotonic() >= end

    lockstep.run(evaluate, is_too_long)
    cost = Cost(
        asked=sum(cost.asked for cost in costs),
        measured=len(measured.seen),
        block_runs=measured.block_runs,
        block_runs_on=measured.block_runs_on,
        block_runs_alone=sum(cost.block_runs for cost in costs),
        block_runs_unshared=sum(cost.block_runs_unshared for cost in costs),
        complete=not lockstep.running,
    )
    return cost, lockstep.failed


def _copied(searcher: Searcher, problem: Problem) -> tuple[Searcher, Problem]:
    signals = synthetic_signals(searcher, problem.n_blocks)
    return copy.deepcopy(searcher), replace(problem, signals=signals)


def made_up_loss(removed: Subset, n_blocks: int) -> float:
    """Return a loss like a language model's: the first and last blocks cost most.

    The others cost alike, late ones a little more, and each pair of blocks costs more or less than
    both alone, by half as much as a block. So searchers choose among subsets that share as few of
    their first blocks as they do on real losses: beam and genetic run as many block forwards as on
    the demo models, less up to 7 %; a loss without chance in its pairs would foretell up to 25 %
    less.
    """
    prices, pairs = _prices(n_blocks), _pairs(n_blocks)
    return (
        2.0
        + sum(prices[i] for i in sorted(removed))
        + sum(pairs[pair] for pair in combinations(sorted(removed), 2))
    )


PRICE = 0.1
"""Nats that an ordinary block costs, as in SmolLM2-135M."""


@cache
def _prices(n_blocks: int) -> list[float]:
    chance = random.Random(n_blocks)
    prices = [
        PRICE * math.exp(0.5 * chance.gauss(0, 1)) * (1 + 1.5 * i / n_blocks)
        + 8 * math.exp(-2.5 * i)
        for i in range(n_blocks)
    ]
    prices[-1] += 1.5
    return prices


@cache
def _pairs(n_blocks: int) -> dict[tuple[int, int], float]:
    chance = random.Random(n_blocks)
    return {pair: PRICE * 0.5 * chance.gauss(0.3, 1) for pair in combinations(range(n_blocks), 2)}


def uses_chance(searcher: Searcher, problem: Problem, seeds: Sequence[int]) -> bool:
    """Return whether another seed makes the searcher ask for other subsets or choose others.

    It runs on made-up losses with every seed, and only if nothing differs from beginning to end it
    uses no chance. A searcher that does not end counts as using chance, and so does one that fails,
    which the study then reports for each seed.
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
        requests = [driver.request or () for driver in drivers]
        asked = [(share_of(request), list(request)) for request in requests]
        if any(other != asked[0] for other in asked):
            return False
        losses = [made_up_loss(subset, n_blocks) for subset in requests[0]]
        for driver in drivers:
            driver.answer(losses)
    return all(driver.request is None and driver.removed == first.removed for driver in drivers)
