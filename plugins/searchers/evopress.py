"""EvoPress: evolution by level switches (Sieberling et al., arXiv 2410.14649, algorithm 1).

From the paper: one parent, 32 children, min(U{1,2,3}, U{1,2,3}) swaps for each of them, a selection
in stages on more and more data that the parent joins at the last one, and a beginning with 64
random subsets. Ours: the first samples instead of fresh ones in every generation, so that losses of
different generations compare; all samples in the last stage; and swaps of whole blocks only.
"""

from __future__ import annotations

import itertools
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Part, Problem, Search, Searcher, Signal, Subset, hookimpl, option
from prunekit.plugins.searchers.known import Known
from prunekit.plugins.searchers.moves import random_swap
from prunekit.plugins.searchers.starts import Start, searcher_of, started

MOST_SWAPS = 3


@dataclass(frozen=True)
class Stage:
    """Of the candidates, this many go on, by their losses on a share of the samples."""

    survivors: int
    share: float


@dataclass(frozen=True)
class EvoPress(Searcher):
    """Mutate one parent by swaps; select among its children on more and more samples.

    Requests what `start` does, and in each generation `offspring` subsets on few samples, of which
    the best go on to the next of the `stages`; the last is on all samples. Never ends worse than
    its start. Ends early when every subset was measured.
    """

    name: ClassVar[str] = "evopress"
    paper: ClassVar[str] = "arXiv 2410.14649"
    start: Start = option("random", "searcher whose choice is the first parent")
    initial: int = option(64, "random subsets beside the first parent", low=0)
    offspring: int = option(32, "children in each generation", low=1)
    generations: int = option(60, "generations after the first", low=0)
    stages: str = option("2:0.0625,1:1", "SURVIVORS:SHARE of the samples for each selection")

    def __post_init__(self) -> None:
        """Raise ValueError unless the stages can be read, and narrow down to one subset."""
        _stages(self.stages)

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the signals of the start."""
        return searcher_of(self.start).needs

    def search(self, problem: Problem) -> Search:
        """Choose the parent of each generation, and return the best subset of all."""
        rng = problem.rng()
        known = Known()
        parent = yield from started(self.start, problem, known)
        possible = math.comb(len(problem.removable), problem.budget)
        blocks = problem.removable
        children = [frozenset(rng.sample(blocks, problem.budget)) for _ in range(self.initial)]
        for _ in range(self.generations + 1):
            parent = yield from self._selected(children, parent, known)
            if sum(len(subset) == problem.budget for subset in known) == possible:
                break
            children = [_mutated(rng, parent, blocks) for _ in range(self.offspring)]
        return known.best(problem.budget)

    def _selected(self, children: Sequence[Subset], parent: Subset, known: Known) -> Search:
        """Narrow the children down stage by stage; the parent joins at the last one.

        The parent is the best of all that is known, so children that are known cannot win.
        """
        candidates = [child for child in dict.fromkeys(children) if child not in known]
        for stage in _stages(self.stages):
            if stage.share == 1:
                candidates = [parent, *candidates]
                losses = yield from known.ask(candidates)
            elif len(candidates) > stage.survivors:
                losses = yield Part(candidates, stage.share)
            else:
                continue
            ranked = sorted(zip(losses, map(sorted, candidates), candidates, strict=True))
            candidates = [candidate for *_, candidate in ranked[: stage.survivors]]
        return candidates[0]


def _mutated(rng: random.Random, parent: Subset, removable: Sequence[int]) -> Subset:
    swaps = min(rng.randint(1, MOST_SWAPS) for _ in range(2))
    return random_swap(rng, parent, removable, swaps)


def _stages(text: str) -> list[Stage]:
    """Read stages. Raises ValueError.

    >>> _stages("2:0.25,1:1")
    [Stage(survivors=2, share=0.25), Stage(survivors=1, share=1.0)]
    """
    try:
        pairs = [word.split(":") for word in text.split(",")]
        stages = [Stage(int(survivors), float(share)) for survivors, share in pairs]
    except ValueError:
        stages = []
    begun = [Stage(sys.maxsize, 0.0), *stages]
    narrowing = all(
        a.survivors >= b.survivors and a.share < b.share for a, b in itertools.pairwise(begun)
    )
    if not narrowing or begun[-1] != Stage(1, 1.0):
        raise ValueError(
            f"the stages are {text!r}, but must be pairs SURVIVORS:SHARE, no more survivors and "
            "a larger share each time, the last one 1:1; write for example 2:0.0625,1:1"
        )
    return stages


@hookimpl
def prunekit_searchers() -> list[type]:
    return [EvoPress]
