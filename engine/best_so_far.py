"""The best loss that a search has measured so far, against its block forwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from prunekit.core.problem import Subset


@dataclass(frozen=True)
class Improvement:
    """A best loss so far, of a subset of the budget's size."""

    block_runs: int
    """block forwards of the search alone until it was known"""
    difference: float
    """loss above that of the dense model"""


class BestSoFar:
    """Notes each improvement as the requests of a search are answered.

    >>> best = BestSoFar(budget=1)
    >>> best.note([frozenset({2}), frozenset({1})], [3.0, 2.5], block_runs=7)
    >>> best.note([frozenset({1, 2}), frozenset({0})], [1.0, 2.75], block_runs=9)
    >>> best.above(2.0)
    (Improvement(block_runs=7, difference=0.5),)
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._found: list[tuple[int, float]] = []

    def note(self, subsets: Sequence[Subset], losses: Sequence[float], block_runs: int) -> None:
        """Note the losses of a request on the whole calibration set, known after `block_runs`."""
        complete = [x for s, x in zip(subsets, losses, strict=True) if len(s) == self._budget]
        best = min(complete, default=math.inf)
        if best < (self._found[-1][1] if self._found else math.inf):
            self._found.append((block_runs, best))

    def above(self, dense_loss: float, n_objectives: int = 1) -> tuple[Improvement, ...]:
        """Return the improvements, each block run under that many objectives."""
        return tuple(Improvement(n_objectives * n, x - dense_loss) for n, x in self._found)


def check_improvements(found: Sequence[Improvement], block_runs: int) -> None:
    """Raise ValueError unless each is better than the one before, within these block forwards."""
    for a, b in pairwise([Improvement(0, math.inf), *found, Improvement(block_runs, -math.inf)]):
        if a.block_runs > b.block_runs or a.difference <= b.difference:
            raise ValueError(f"improvements cannot go from {_said(a)} to {_said(b)}")


def _said(of: Improvement) -> str:
    return f"{of.difference} at {of.block_runs} block forwards"
