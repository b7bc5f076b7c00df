"""First-order Taylor importance, on a gate for each block.

I(i) = |g(i) dL/dg(i)| with all gates at 1, the estimate of |L(g(i) = 0) - L| of Molchanov et al.
(arXiv 1906.10771, section 3), who square it, which ranks the same. The gradient is that of the loss
over the whole calibration set, so samples may cancel out. Taylor+ of Shortened LLaMA (arXiv
2402.02834) sums such products over weights instead, and always keeps some blocks at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, Signal, hookimpl
from prunekit.plugins.searchers.signals import TAYLOR
from prunekit.plugins.searchers.singles import cheapest_first


@dataclass(frozen=True)
class Taylor(Searcher):
    """Remove the blocks on whose outputs the loss depends least, to first order.

    Requests no subset, but needs a backward pass of the dense model.
    """

    name: ClassVar[str] = "taylor"
    paper: ClassVar[str] = "arXiv 1906.10771"

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the slopes of the loss."""
        return (TAYLOR,)

    def search(self, problem: Problem) -> Search:
        """Rank the removable blocks by the magnitude of their slopes."""
        yield from ()  # requests nothing
        (slopes,) = problem.signals[TAYLOR.name]
        importance = {i: abs(slopes[i]) for i in problem.removable}
        return frozenset(cheapest_first(importance)[: problem.budget])


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Taylor]
