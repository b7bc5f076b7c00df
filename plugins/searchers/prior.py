"""The prior of the guided searchers: blocks that are cheap alone are drawn more often.

The paper calls its genetic and Bayesian searches prior-guided without details; everything here is
our reading. Weights depend on ranks only, so they are the same for a loss and its exponential, and
a single fatal block does not flatten the rest.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from prunekit.core import Subset
from prunekit.plugins.searchers.singles import cheapest_first

__all__ = ["Prior"]

TEMPERATURE = 0.25
UNIFORM_SHARE = 0.1


@dataclass(frozen=True)
class Prior:
    """A probability for every removable block."""

    weights: Mapping[int, float]

    @classmethod
    def from_singles(cls, singles: Mapping[int, float]) -> Prior:
        """Build weights that decay exponentially with the rank, mixed with a uniform share."""
        order = cheapest_first(singles)
        last = max(1, len(order) - 1)
        falling = [math.exp(-rank / last / TEMPERATURE) for rank in range(len(order))]
        total = sum(falling)
        uniform = UNIFORM_SHARE / len(order)
        weights = [(1 - UNIFORM_SHARE) * x / total + uniform for x in falling]
        return cls(dict(zip(order, weights, strict=True)))

    def draw(self, rng: random.Random, among: Collection[int], size: int) -> Subset:
        """Draw `size` blocks without replacement, in proportion to their weights.

        Each block gets an exponential waiting time at the rate of its weight, and the shortest are
        drawn, which is equivalent to the Gumbel-top-k trick (Kool et al., arXiv 1903.06059).
        """
        log, chance, weights = math.log, rng.random, self.weights  # this runs a million times
        times = {block: -log(1.0 - chance()) / weights[block] for block in sorted(among)}
        return frozenset(sorted(times, key=times.__getitem__)[:size])
