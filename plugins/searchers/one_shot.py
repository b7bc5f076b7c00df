"""One-shot: rank blocks by the loss of removing each alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, hookimpl
from prunekit.plugins.searchers.singles import cheapest_first, single_losses


@dataclass(frozen=True)
class OneShot(Searcher):
    """Remove the blocks whose removal alone costs least.

    Requests one subset per removable block. Ignores interactions between removals.
    """

    name: ClassVar[str] = "one-shot"
    paper: ClassVar[str] = "arXiv 2604.24938"

    def search(self, problem: Problem) -> Search:
        """Measure every block alone and take the cheapest `budget` of them."""
        singles = yield from single_losses(problem, winners=problem.budget)
        return frozenset(cheapest_first(singles)[: problem.budget])


@hookimpl
def prunekit_searchers() -> list[type]:
    return [OneShot]
