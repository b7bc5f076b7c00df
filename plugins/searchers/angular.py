"""Angular distance of Gromov et al. (arXiv 2403.17887, section 3.2).

The paper removes the k contiguous blocks l to l + k - 1 with the smallest
d(l, k) = arccos(cos(x(l), x(l + k))) / pi, where x(l) enters block l. It takes the angle at the
last token of each sample. Here the cosine is the mean over all tokens: with 64 samples, 64 last
tokens are a noisy estimate, a window of text ends anywhere, and one table then serves every ranking
by cosines. More than one run is our extension: the distances of the runs are added up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from prunekit.core import Problem, Search, Searcher, Signal, Table, hookimpl, option
from prunekit.plugins.searchers.signals import BOUNDARY_COSINE

Partial: TypeAlias = tuple[float, tuple[int, ...]]
"""A sum of distances, and the blocks of the runs, in order."""
NONE: Partial = (math.inf, ())


@dataclass(frozen=True)
class Angular(Searcher):
    """Remove the run of adjacent blocks across which the hidden state turns least.

    Requests no subset: one pass of the dense model decides. With `runs` the best set of up to that
    many runs with kept blocks between them; if protected blocks leave no room for so few, as many
    as it takes.
    """

    name: ClassVar[str] = "angular"
    paper: ClassVar[str] = "arXiv 2403.17887"
    one_pass: ClassVar[bool] = True
    runs: int = option(1, "maximum number of runs of adjacent blocks", low=1)

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return cosines between hidden states."""
        return (BOUNDARY_COSINE,)

    def search(self, problem: Problem) -> Search:
        """Find the runs with the smallest sum of distances, by dynamic programming."""
        yield from ()  # requests nothing
        distances = _distances(problem.signals[BOUNDARY_COSINE.name])
        nothing: list[Partial] = [(0.0, ()), *[NONE] * problem.budget]
        layers = [[nothing] * (problem.n_blocks + 1)]
        while len(layers) <= self.runs or layers[-1][-1][problem.budget] == NONE:
            layers.append(_with_one_more_run(problem, distances, layers[-1]))
        return frozenset(layers[-1][-1][problem.budget][1])


def _with_one_more_run(
    problem: Problem, distances: Table, fewer: Sequence[Sequence[Partial]]
) -> list[list[Partial]]:
    """Return the best of up to one run more, by the boundary before which they are and their size.

    `fewer[b][m]` is the best way to remove m blocks before boundary b with fewer runs. A run ends
    at b, or block b - 1 is kept; before a run one block is kept, or nothing is there.
    """
    best = [list(fewer[0])]
    for end in range(1, problem.n_blocks + 1):
        row = [min(pair) for pair in zip(fewer[end], best[-1], strict=True)]
        for start in _starts(problem, end):
            before = fewer[max(0, start - 1)]
            for size in range(end - start, problem.budget + 1):
                distance, blocks = before[size - (end - start)]
                longer = (distance + distances[start][end], (*blocks, *range(start, end)))
                row[size] = min(row[size], longer)
        best.append(row)
    return best


def _starts(problem: Problem, end: int) -> range:
    """Return where a run that ends before block `end` may start: behind any protected block."""
    first = max([i + 1 for i in problem.protected if i < end], default=0)
    return range(max(first, end - problem.budget), end)


def _distances(cosine: Table) -> Table:
    return [[math.acos(max(-1.0, min(1.0, x))) / math.pi for x in row] for row in cosine]


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Angular]
