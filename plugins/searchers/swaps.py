"""Local search: exchange one removed block for a kept one while the loss falls.

The 1-exchange neighbourhood of combinatorial optimisation (Papadimitriou and Steiglitz,
Combinatorial Optimization, 1982, chapter 19). The order of swaps is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from prunekit.core import Problem, Search, Searcher, Signal, Subset, hookimpl, option
from prunekit.plugins.searchers.known import Known
from prunekit.plugins.searchers.moves import neighbours
from prunekit.plugins.searchers.singles import cheapest_first
from prunekit.plugins.searchers.starts import Start, searcher_of, started

Moves: TypeAlias = Callable[[Subset], list[Subset]]
"""All subsets that are one swap away, the most promising first."""


@dataclass(frozen=True)
class Swaps(Searcher):
    """Exchange one removed block for a kept one until no single swap lowers the loss.

    Requests what `start` does, and then up to `trials` subsets; a round of all swaps is k (n - k)
    subsets of n removable blocks. If trials are left over, no single swap improves on the result.
    It never ends worse than its start. Where single removals were measured, swaps that promise most
    by them come first. `first` needs fewer subsets, one at a time; `best` measures a round
    together, which shares prefixes and uses all replicas of a backend.
    """

    name: ClassVar[str] = "swaps"
    start: Start = option("one-shot", "searcher whose choice is improved")
    improvement: Literal["first", "best"] = option(
        "first", "take the first swap that lowers the loss, or the best one of a round"
    )
    trials: int = option(400, "maximum number of subsets to measure after the start", low=1)

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the signals of the start."""
        return searcher_of(self.start).needs

    def search(self, problem: Problem) -> Search:
        """Start, and swap until nothing improves or the trials are used up."""
        known = Known()
        here = yield from started(self.start, problem, known)
        most = len(known) + self.trials
        moves = _moves(problem, known)
        step = self._first if self.improvement == "first" else self._best
        while (better := (yield from step(here, moves(here), known, most))) != here:
            here = better
        return here

    def _first(self, here: Subset, moves: list[Subset], known: Known, most: int) -> Search:
        """Return the first move that lowers the loss, or `here`."""
        for move in moves:
            if move not in known and len(known) == most:
                continue
            (loss,) = yield from known.ask([move])
            if loss < known[here]:
                return move
        return here

    def _best(self, here: Subset, moves: list[Subset], known: Known, most: int) -> Search:
        """Return the best move if it lowers the loss, or `here`."""
        new = [move for move in moves if move not in known]
        yield from known.ask(new[: most - len(known)])
        measured = [move for move in moves if move in known]
        best = min(measured, key=lambda s: (known[s], sorted(s)), default=here)
        return best if known[best] < known[here] else here


def _moves(problem: Problem, known: Known) -> Moves:
    """Return a function that gives swaps by the ranks of the single losses, where all are known."""
    singles = {i: known[s] for i in problem.removable if (s := frozenset({i})) in known}
    complete = len(singles) == len(problem.removable)
    rank = {block: r for r, block in enumerate(cheapest_first(singles))} if complete else {}

    def moves(here: Subset) -> list[Subset]:
        swaps = neighbours(here, problem.removable)
        return sorted(swaps, key=lambda s: sum(rank.get(block, 0) for block in s))

    return moves


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Swaps]
