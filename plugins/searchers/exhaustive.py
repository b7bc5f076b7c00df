"""Exhaustive search, for problems small enough to try every subset."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Best, ConfigError, Problem, Search, Searcher, Subset, hookimpl, option

AT_ONCE = 4096
EXAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Exhaustive(Searcher):
    """Measure every subset and return the best.

    Refuses problems with more than `most` subsets: 7 of 32 blocks are 3,365,856.
    """

    name: ClassVar[str] = "exhaustive"
    most: int = option(20_000, "maximum number of subsets", low=1)

    def check_problem(self, problem: Problem) -> None:
        """Raise ConfigError if there are more subsets than `most`."""
        count = math.comb(len(problem.removable), problem.budget)
        if count > self.most:
            raise ConfigError(
                f"exhaustive would measure {count:,} subsets, {_duration(count * EXAMPLE_SECONDS)} "
                f"at {EXAMPLE_SECONDS} s each; choose another searcher, a smaller --budget, or "
                "raise --exhaustive.most"
            )

    def search(self, problem: Problem) -> Search:
        """Request all subsets of that size, in lexicographic order, 4,096 at a time."""
        best: tuple[float, list[int]] = math.inf, list(problem.removable[: problem.budget])
        subsets = map(frozenset, itertools.combinations(problem.removable, problem.budget))
        for request in _parts(subsets):
            losses = yield Best(request, winners=1)
            scored = zip(losses, map(sorted, request), strict=True)
            best = min(best, *scored)
        return frozenset(best[1])


def _duration(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:,.1f} hours"


def _parts(subsets: Iterator[Subset]) -> Iterator[list[Subset]]:
    while part := list(itertools.islice(subsets, AT_ONCE)):
        yield part


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Exhaustive]
