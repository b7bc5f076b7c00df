"""Cut what is to be measured into parts, one for each of several replicas of a model.

Subsets that agree on their first blocks share that part of the forward pass only where the same
replica measures them, one after the other. So all of it is laid out in one line, batch by batch and
within a batch in the order of the walk, and the line is cut into stretches of equal work. Batches
share nothing, and a cut between two of them is free; a cut within a batch costs at most one prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from prunekit.core import Subset, runs_of_each


@dataclass(frozen=True)
class Part:
    """Subsets to be measured on one batch by one replica."""

    batch: int
    subsets: tuple[Subset, ...]
    stretch: int
    """which stretch of the line it belongs to: neighbours are best measured by one replica"""

    def without(self, done: Iterable[Subset]) -> Part:
        """What is left of it."""
        left = tuple(s for s in self.subsets if s not in set(done))
        return Part(self.batch, left, self.stretch)


def cut(wanted: Sequence[Sequence[Subset]], n_blocks: int, stretches: int) -> list[Part]:
    """The subsets wanted of each batch, as parts of so many stretches of equal work.

    Work is counted in block forwards; the head that reads the last one's output counts as one more.
    """
    line = [
        (batch, subset, runs + 1)
        for batch, subsets in enumerate(wanted)
        for subset, runs in runs_of_each(subsets, n_blocks).items()
    ]
    total, passed = sum(work for _, _, work in line), 0
    places: list[tuple[int, int, Subset]] = []
    for batch, subset, work in line:
        places.append((batch, (2 * passed + work) * stretches // (2 * total), subset))
        passed += work
    return [
        Part(batch, tuple(subset for *_, subset in group), stretch)
        for (batch, stretch), group in groupby(places, key=lambda place: place[:2])
    ]


class Queue:
    """Parts that wait for a replica."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = list(parts)

    def __len__(self) -> int:
        return len(self._parts)

    def put_back(self, part: Part) -> None:
        """Give back what a replica could not finish, to be taken first."""
        if part.subsets:
            self._parts.insert(0, part)

    def take(self, stretch: int) -> Part:
        """The next part of this stretch; once it is used up, one of the last of any other."""
        own = (i for i, part in enumerate(self._parts) if part.stretch == stretch)
        return self._parts.pop(next(own, -1))
