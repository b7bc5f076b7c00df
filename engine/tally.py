"""What requests cost: counted from the subsets alone, whoever measures them."""

from __future__ import annotations

from collections.abc import Sequence

from prunekit.core.problem import Subset
from prunekit.core.trie import block_runs, block_runs_alone


class Tally:
    """Counts requests as they are made one after the other.

    >>> tally = Tally(n_blocks=3)
    >>> tally.add([frozenset({2}), frozenset({1})])
    >>> tally.add([frozenset({2}), frozenset({2, 1})])
    >>> tally.asked, len(tally.seen), tally.block_runs, tally.block_runs_alone
    (4, 3, 4, 7)
    """

    def __init__(self, n_blocks: int) -> None:
        self.n_blocks = n_blocks
        self.seen: set[Subset] = set()
        """the different subsets"""
        self.asked = 0
        """subsets, repeats included"""
        self.block_runs = 0
        """blocks run where each subset is measured once and a request shares its prefixes"""
        self.block_runs_alone = 0
        """the same with every subset asked measured by itself"""

    def add(self, request: Sequence[Subset]) -> None:
        """Count one request."""
        self.measure(request)
        self.asked += len(request)
        self.block_runs_alone += block_runs_alone(request, self.n_blocks)

    def measure(self, subsets: Sequence[Subset]) -> None:
        """Count subsets that are measured though nobody asked for them."""
        new = set(subsets) - self.seen
        self.seen |= new
        self.block_runs += block_runs(new, self.n_blocks)
