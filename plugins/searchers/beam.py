"""Beam search over partial removals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import DENSE, Best, Problem, Search, Searcher, Subset, hookimpl, option
from prunekit.plugins.searchers.greedy import Greedy


@dataclass(frozen=True)
class Beam(Searcher):
    """Keep the best few partial removals and extend each by one block.

    The paper's beam is 5 wide; counting equal subsets reached in different orders once is our
    reading, without which the beam collapses. Requests n + width x ((k - 1) n - k (k - 1) / 2)
    subsets of n removable blocks, repeats included. With width 1 it is greedy. It may end worse
    than greedy, whose path can fall out of the beam; `include_greedy` rules that out.
    """

    name: ClassVar[str] = "beam"
    paper: ClassVar[str] = "arXiv 2604.24938"
    width: int = option(5, "partial removals kept after each step", low=1)
    include_greedy: bool = option(False, "run greedy too and return the better of both")

    def search(self, problem: Problem) -> Search:
        """Extend every kept subset by every block and keep the best, up to the budget."""
        losses: dict[Subset, float] = {}
        beam = [DENSE]
        for size in range(1, problem.budget + 1):
            grown = [s | {i} for s in beam for i in problem.removable if i not in s]
            winners = self.width if size < problem.budget else 1
            losses = dict(zip(grown, (yield Best(grown, winners)), strict=True))
            beam = sorted(losses, key=lambda s: (losses[s], sorted(s)))[:winners]
        if self.include_greedy:
            rival = yield from Greedy().search(problem)
            losses[rival] = (yield [rival])[0]
            beam = [min(beam[0], rival, key=lambda s: (losses[s], sorted(s)))]
        return beam[0]


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Beam]
