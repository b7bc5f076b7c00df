"""Minimise a quadratic function of subsets of fixed size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prunekit.core import Subset
from prunekit.plugins.searchers.energies import energy, step_of
from prunekit.plugins.searchers.enumeration import enumerate_lowest
from prunekit.plugins.searchers.tabu import tabu_lowest

if TYPE_CHECKING:
    from prunekit.plugins.searchers.energies import Matrix

MOST_STATES = 10**10


def lowest(q: Matrix, size: int, count: int, seed: int) -> list[Subset]:
    """Return the `count` subsets of that size with the lowest energy, best first.

    Exact up to 10^10 subsets, by enumeration; above that the best that tabu search finds. Ties, up
    to rounding, are broken by the order of the blocks.
    """
    step = step_of(q)
    if math.comb(len(q), size) <= MOST_STATES:
        found = enumerate_lowest(q, size, count)
    else:
        found = tabu_lowest(q, size, seed)
    return sorted(found, key=lambda s: (round(energy(q, s) / step), sorted(s)))[:count]
