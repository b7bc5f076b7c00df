"""Relative magnitude: rank blocks by ||f(x)|| / ||x + f(x)||.

The ratio by which Samragh et al. ("Weight subcloning", arXiv 2312.09299) drop blocks, as ShortGPT
(arXiv 2403.03853) restates it for language models; the mean over all tokens is our reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, Signal, hookimpl
from prunekit.plugins.searchers.signals import RELATIVE_MAGNITUDE
from prunekit.plugins.searchers.singles import cheapest_first


@dataclass(frozen=True)
class RelativeMagnitude(Searcher):
    """Remove the blocks whose output is smallest beside the residual stream.

    Requests no subset: one pass of the dense model decides.
    """

    name: ClassVar[str] = "relative-magnitude"
    paper: ClassVar[str] = "arXiv 2312.09299"
    one_pass: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the relative magnitude of every block."""
        return (RELATIVE_MAGNITUDE,)

    def search(self, problem: Problem) -> Search:
        """Rank the removable blocks by the ratio."""
        yield from ()  # requests nothing
        (ratios,) = problem.signals[RELATIVE_MAGNITUDE.name]
        magnitude = {i: ratios[i] for i in problem.removable}
        return frozenset(cheapest_first(magnitude)[: problem.budget])


@hookimpl
def prunekit_searchers() -> list[type]:
    return [RelativeMagnitude]
