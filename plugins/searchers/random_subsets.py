"""Random subsets, the control that every other searcher should beat at equal cost."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, Subset, hookimpl, option
from prunekit.plugins.searchers.known import Known


@dataclass(frozen=True)
class RandomSubsets(Searcher):
    """Measure random subsets and return the best.

    Requests `trials` different subsets of the size of the budget, all of them if there are no more.
    By default 90: with 95 in 100 searches, one is among the best 3.3% of all subsets.
    """

    name: ClassVar[str] = "random"
    trials: int = option(90, "different subsets to measure", low=1)

    def search(self, problem: Problem) -> Search:
        """Request all draws together."""
        known = Known()
        yield from known.ask(self._draws(problem))
        return known.best(problem.budget)

    def _draws(self, problem: Problem) -> list[Subset]:
        if self.trials >= math.comb(len(problem.removable), problem.budget):
            return list(map(frozenset, itertools.combinations(problem.removable, problem.budget)))
        rng = problem.rng()
        draws: dict[Subset, None] = {}
        while len(draws) < self.trials:
            draws[frozenset(rng.sample(problem.removable, problem.budget))] = None
        return list(draws)


@hookimpl
def prunekit_searchers() -> list[type]:
    return [RandomSubsets]
