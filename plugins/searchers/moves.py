"""Swaps: exchanges of removed blocks for kept ones, the steps of searches near a subset."""

from __future__ import annotations

import random
from collections.abc import Sequence

from prunekit.core import Subset

__all__ = ["neighbours", "random_swap"]


def neighbours(subset: Subset, removable: Sequence[int]) -> list[Subset]:
    """Return every subset that is one swap away, in order of the blocks restored and removed.

    >>> [sorted(s) for s in neighbours(frozenset({0, 1}), (0, 1, 2, 3))]
    [[1, 2], [1, 3], [0, 2], [0, 3]]
    """
    kept = [block for block in removable if block not in subset]
    return [subset - {restored} | {removed} for restored in sorted(subset) for removed in kept]


def random_swap(
    rng: random.Random, subset: Subset, removable: Sequence[int], count: int = 1
) -> Subset:
    """Exchange `count` removed blocks for kept ones, as many as there are at the most."""
    kept = [block for block in removable if block not in subset]
    count = min(count, len(subset), len(kept))
    return subset - set(rng.sample(sorted(subset), count)) | set(rng.sample(kept, count))
