"""The problem of a searcher: which `budget` of these blocks can be removed?"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from prunekit.core.errors import ConfigError

Subset: TypeAlias = frozenset[int]
"""Blocks that are removed, counted from 0: the S of the study."""

DENSE: Subset = frozenset()
"""Nothing removed."""


@dataclass(frozen=True)
class Problem:
    """Everything that a searcher may know.

    >>> Problem(5, 2, protected=frozenset({0, 4})).removable
    (1, 2, 3)

    Raises ConfigError if no subset of size `budget` may be removed.
    """

    n_blocks: int
    budget: int
    protected: Subset = DENSE
    seed: int = 0
    signals: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    """by name, those that the searcher needs"""

    def __post_init__(self) -> None:
        free = len(self.removable)
        if not 1 <= self.budget <= free or self.budget == self.n_blocks:
            most = min(free, self.n_blocks - 1)
            raise ConfigError(
                f"the budget is {self.budget}, but of {self.n_blocks} blocks with "
                f"{len(self.protected)} protected, 1 to {most} can be removed; "
                f"choose a budget in that range"
                if most > 0
                else f"all of the {self.n_blocks} blocks are protected; protect fewer"
            )

    @cached_property
    def removable(self) -> tuple[int, ...]:
        """Blocks that may be removed, in order."""
        return tuple(i for i in range(self.n_blocks) if i not in self.protected)

    def rng(self) -> random.Random:
        """Return a fresh generator, the only source of randomness that a searcher may use."""
        return random.Random(self.seed)


WHOLE = 1.0
"""The share of a request for losses on the whole calibration set."""


class Part(tuple[Subset, ...]):
    """A request for losses on a part of the calibration set: the first `share` of its samples.

    Yielded in place of a list of subsets, it returns their losses on the first ceil(share x n) of
    n samples; a later request for more measures only the other samples.

    >>> Part([frozenset({3})], share=0.25).share
    0.25
    """

    share: float

    def __new__(cls, subsets: Iterable[Subset], share: float) -> Part:
        """Raise ValueError unless 0 < share <= 1."""
        if not 0 < share <= WHOLE:
            raise ValueError(f"the share of a Part must be above 0 and at most 1, not {share!r}")
        part = super().__new__(cls, subsets)
        part.share = share
        return part


class Best(tuple[Subset, ...]):
    """A request of which the `winners` best are all that matters.

    Yielded in place of a list of subsets, it returns a loss for each. Those of the winners are
    their losses on the whole calibration set. Of any other subset it may be +inf, which says no
    more than that its loss is higher than theirs: a race drops those that fall behind before they
    are measured on all samples.

    >>> Best([frozenset({3}), frozenset({5})], winners=1).winners
    1
    """

    winners: int

    def __new__(cls, subsets: Iterable[Subset], winners: int) -> Best:
        """Raise ValueError for fewer than one winner."""
        if winners < 1:
            raise ValueError(f"a request for the Best needs at least 1 winner, not {winners!r}")
        best = super().__new__(cls, subsets)
        best.winners = winners
        return best


def share_of(request: Sequence[Subset]) -> float:
    """Return the share of the calibration set that a request is about."""
    return request.share if isinstance(request, Part) else WHOLE


def with_subsets(request: Sequence[Subset], subsets: Iterable[Subset]) -> Sequence[Subset]:
    """Return the same kind of request for other subsets."""
    if isinstance(request, Best):
        return Best(subsets, request.winners)
    return Part(subsets, share_of(request))


def single_removals(n_blocks: int) -> list[Subset]:
    """Return the removals of one block each.

    >>> single_removals(2)
    [frozenset({0}), frozenset({1})]
    """
    return [frozenset({i}) for i in range(n_blocks)]


def blocks_in(text: str) -> list[int]:
    """Read a subset as users write it. Raises ValueError if it is something else.

    >>> blocks_in("9,12"), blocks_in("none")
    ([9, 12], [])
    """
    return [] if text == "none" else [int(word) for word in text.split(",")]


def words(subset: Iterable[int]) -> str:
    """Write a subset as users read it.

    >>> words(frozenset({12, 9}))
    '9,12'
    """
    return ",".join(map(str, sorted(subset))) or "none"
