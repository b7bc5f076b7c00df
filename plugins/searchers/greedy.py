"""Greedy iterative deletion, the algorithm of SLEB (Song et al., arXiv 2402.09025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import DENSE, Best, Problem, Search, Searcher, hookimpl


@dataclass(frozen=True)
class Greedy(Searcher):
    """Remove the block that costs least, measure again, and repeat.

    Requests k n - k (k - 1) / 2 subsets of n removable blocks. Its choices are nested: those for a
    smaller budget are contained in those for a larger one.
    """

    name: ClassVar[str] = "greedy"
    paper: ClassVar[str] = "arXiv 2402.09025"

    def search(self, problem: Problem) -> Search:
        """Extend the removed subset by its cheapest block until the budget is reached."""
        removed = DENSE
        for _ in range(problem.budget):
            grown = [removed | {i} for i in problem.removable if i not in removed]
            losses = yield Best(grown, winners=1)
            _, removed = min(zip(losses, grown, strict=True), key=lambda p: (p[0], sorted(p[1])))
        return removed


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Greedy]
