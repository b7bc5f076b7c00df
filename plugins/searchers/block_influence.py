"""Block Influence of ShortGPT (Men et al., arXiv 2403.03853, equation 1).

BI(i) = 1 - E[cos(x(i), x(i + 1))], where x(i) is the hidden state that enters block i and the mean
is over all tokens; the blocks of the lowest influence are removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, Signal, hookimpl
from prunekit.plugins.searchers.signals import BOUNDARY_COSINE
from prunekit.plugins.searchers.singles import cheapest_first


@dataclass(frozen=True)
class BlockInfluence(Searcher):
    """Remove the blocks that turn the hidden state least.

    Requests no subset: one pass of the dense model decides.
    """

    name: ClassVar[str] = "block-influence"
    paper: ClassVar[str] = "arXiv 2403.03853"
    one_pass: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return cosines between hidden states."""
        return (BOUNDARY_COSINE,)

    def search(self, problem: Problem) -> Search:
        """Rank the removable blocks by their influence."""
        yield from ()  # requests nothing
        cosine = problem.signals[BOUNDARY_COSINE.name]
        influence = {i: 1 - cosine[i][i + 1] for i in problem.removable}
        return frozenset(cheapest_first(influence)[: problem.budget])


@hookimpl
def prunekit_searchers() -> list[type]:
    return [BlockInfluence]
