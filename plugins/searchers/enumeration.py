"""Find the subsets of least energy by trying all of one size.

The blocks are split into halves: E = E_left + E_right + 2 x_left Q x_right, so that the energies of
all pairs of halves are one product of matrices. Of the half with more subsets only a part is in
memory at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core import Subset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prunekit.plugins.searchers.energies import Matrix

ROWS_AT_ONCE = 50_000
CELLS_AT_ONCE = 4_000_000


def enumerate_lowest(q: Matrix, size: int, count: int) -> set[Subset]:
    """The `count` subsets of that size with the least energy, or all where there are fewer."""
    best = _Lowest(count)
    half = len(q) // 2
    for left_size in range(max(0, size - (len(q) - half)), min(half, size) + 1):
        left = _Half(range(half), left_size)
        right = _Half(range(half, len(q)), size - left_size)
        few, many = sorted((left, right), key=lambda side: side.count)
        _try_all(q, few, many, best)
    return set(best.subsets)


@dataclass(frozen=True)
class _Half:
    """All subsets of `size` of some blocks."""

    blocks: range
    size: int

    @property
    def count(self) -> int:
        return math.comb(len(self.blocks), self.size)

    def parts(self, n_blocks: int, rows_at_once: int) -> Iterator[Matrix]:
        """Rows of 0 and 1, one a subset."""
        import numpy as np

        subsets = itertools.combinations(self.blocks, self.size)
        while part := list(itertools.islice(subsets, rows_at_once)):
            rows = np.zeros((len(part), n_blocks))
            if self.size:
                np.put_along_axis(rows, np.array(part), 1.0, axis=1)
            yield rows


class _Lowest:
    """The lowest states found so far."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.subsets: list[Subset] = []
        self.energies: list[float] = []

    def add(self, energies: Matrix, few: Matrix, many: Matrix) -> None:
        """Look through the energies `[many, few]` of pairs of halves."""
        import numpy as np

        flat = energies.ravel()
        for cell in self._promising(flat):
            row, column = divmod(int(cell), len(few))
            self.subsets.append(frozenset(np.flatnonzero(many[row] + few[column]).tolist()))
            self.energies.append(float(flat[cell]))
        order = sorted(range(len(self.energies)), key=self.energies.__getitem__)[: self.count]
        self.subsets = [self.subsets[i] for i in order]
        self.energies = [self.energies[i] for i in order]

    def _promising(self, flat: Matrix) -> NDArray[np.intp]:
        """Cells below the worst that is kept, no more than are to be kept."""
        import numpy as np

        is_full = len(self.energies) == self.count
        cells = np.flatnonzero(flat < self.energies[-1]) if is_full else np.arange(flat.size)
        if len(cells) <= self.count:
            return cells
        return cells[np.argpartition(flat[cells], self.count - 1)[: self.count]]


def _try_all(q: Matrix, few: _Half, many: _Half, best: _Lowest) -> None:
    """All pairs of a half of one kind and a half of the other."""
    (few_rows,) = few.parts(len(q), few.count)
    few_energies, columns = _energies(q, few_rows), few_rows.T
    at_once = max(1, min(ROWS_AT_ONCE, CELLS_AT_ONCE // few.count))
    for many_rows in many.parts(len(q), at_once):
        energies = (2 * many_rows @ q) @ columns
        energies += few_energies
        energies += _energies(q, many_rows)[:, None]
        best.add(energies, few_rows, many_rows)


def _energies(q: Matrix, rows: Matrix) -> Matrix:
    energies: Matrix = ((rows @ q) * rows).sum(1)
    return energies
