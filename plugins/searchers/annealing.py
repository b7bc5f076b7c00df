"""Simulated annealing over swaps (Kirkpatrick et al., Science 220, 1983).

A swap that raises the loss by d is accepted with probability exp(-d / T) (Metropolis). The first
temperature is `heat` times the median absolute deviation of the losses of single removals, so that
it has the scale of the loss; it falls geometrically to a hundredth of that. The schedule is ours.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, Signal, hookimpl, option
from prunekit.plugins.searchers.known import Known
from prunekit.plugins.searchers.moves import random_swap
from prunekit.plugins.searchers.starts import Start, searcher_of, started

COOLING = 0.01
"""The last temperature, as a share of the first."""


@dataclass(frozen=True)
class Annealing(Searcher):
    """Swap blocks at random, accepting a rise of the loss less and less often.

    Requests what `start` does, each block alone if that did not, and then up to `trials` subsets,
    one at a time. Never ends worse than its start.
    """

    name: ClassVar[str] = "annealing"
    start: Start = option("one-shot", "searcher whose choice is the first subset")
    trials: int = option(300, "swaps to try", low=1)
    heat: float = option(1.0, "first temperature, relative to the spread of single losses", low=0)

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the signals of the start."""
        return searcher_of(self.start).needs

    def search(self, problem: Problem) -> Search:
        """Start, walk while it cools down, and return the best subset on the way."""
        rng = problem.rng()
        known = Known()
        here = yield from started(self.start, problem, known)
        if problem.budget == len(problem.removable):
            return here
        singles = yield from known.ask([frozenset({i}) for i in problem.removable])
        temperature = self.heat * _spread(singles)
        for _ in range(self.trials):
            swapped = random_swap(rng, here, problem.removable)
            (loss,) = yield from known.ask([swapped])
            if _accepts(rng, known[here], loss, temperature):
                here = swapped
            temperature *= COOLING ** (1 / self.trials)
        return known.best(problem.budget)


def _spread(losses: Sequence[float]) -> float:
    """Return the median absolute deviation of finite losses, which one fatal block cannot widen.

    >>> _spread([1.0, 2.0, 3.0, 50.0, float("inf")])
    1.0
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite:
        return 0.0
    median = statistics.median(finite)
    return statistics.median(abs(loss - median) for loss in finite)


def _accepts(rng: random.Random, old: float, new: float, temperature: float) -> bool:
    """Return whether to go from one loss to another."""
    if new <= old or not temperature:
        return new <= old
    return rng.random() < math.exp((old - new) / temperature)


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Annealing]
