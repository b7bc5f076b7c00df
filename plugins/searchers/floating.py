"""Sequential floating forward selection (Pudil et al., Pattern Recognition Letters 15, 1994).

Over removals: after each block that is removed, blocks are restored as long as that gives a better
subset than the best of its size so far. Our reading: each step goes on from the best subset of its
size, also where the step itself has led to a worse one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import DENSE, Asking, Problem, Search, Searcher, hookimpl, option
from prunekit.plugins.searchers.known import Known


@dataclass(frozen=True)
class Floating(Searcher):
    """Remove the block that costs least, and restore earlier ones where that pays.

    Greedy that can take steps back: of n removable blocks, each step forward requests up to n
    subsets, each step back as many as there are blocks removed, and none is requested twice. In the
    end, restoring one block of the best k gives no better subset than the best k - 1, and no other
    block is a better addition to those.
    """

    name: ClassVar[str] = "floating"
    paper: ClassVar[str] = "doi 10.1016/0167-8655(94)90127-9"
    beyond: int = option(0, "blocks to remove beyond the budget before the last step back", low=0)

    def search(self, problem: Problem) -> Search:
        """Remove one more block and step back where it pays, until the largest size is reached."""
        largest = min(problem.budget + self.beyond, len(problem.removable), problem.n_blocks - 1)
        known = Known()
        size = 0
        while size < largest:
            removed = known.best(size) if size else DENSE
            yield from known.ask([removed | {i} for i in problem.removable if i not in removed])
            size = yield from _after_steps_back(size + 1, known)
        return known.best(problem.budget)


def _after_steps_back(size: int, known: Known) -> Asking[int]:
    """Restore blocks of the best subsets while that improves on those of one block less.

    The best single block is known from the start, so only larger subsets are tried.
    """
    while size > 2:
        lowest = known[known.best(size - 1)]
        removed = known.best(size)
        yield from known.ask([removed - {i} for i in sorted(removed)])
        if known[known.best(size - 1)] >= lowest:
            break
        size -= 1
    return size


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Floating]
