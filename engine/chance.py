"""Tell which searchers use chance, so that the others run once instead of with every seed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from prunekit.core.driver import Driver
from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import Problem
from prunekit.engine.rehearsal import MOST_SUBSETS, made_up_loss
from prunekit.engine.signals import synthetic_signals


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
