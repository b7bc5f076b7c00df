"""Find the subsets of lowest energy by enumerating all of one size.

The blocks are split into halves: E = E_left + E_right + 2 x_left Q x_right, so that the energies of
all pairs of halves are one matrix product. The half with more subsets is processed in parts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core import Subset
from prunekit.plugins.searchers.energies import step_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prunekit.plugins.searchers.energies import Matrix

ROWS_AT_ONCE = 50_000
CELLS_AT_ONCE = 4_000_000


def enumerate_lowest(q: Matrix, size: int, count: int) -> set[Subset]:
    """Return the `count` subsets of that size with the lowest energy, or all if there are fewer.

    Ties are broken by the order of the blocks.
    """
    best = _Lowest(count, step_of(q))
    half = len(q) // 2
    for left_size in range(max(0, size - (len(q) - half)), min(half, size) + 1):
        left = _Half(range(half), left_size)
        right = _Half(range(half, len(q)), size - left_size)
        _try_all(q, left, right, best)
    return {frozenset(blocks) for _, blocks in best.states}


@dataclass(frozen=True)
class _Half:
    """All subsets of `size` out of `blocks`."""

    blocks: range
    size: int

    @property
    def count(self) -> int:
        return math.comb(len(self.blocks), self.size)

    def parts(self, n_blocks: int, rows_at_once: int) -> Iterator[Matrix]:
        """Yield rows of 0 and 1, one per subset."""
        import numpy as np

        subsets = itertools.combinations(self.blocks, self.size)
        while part := list(itertools.islice(subsets, rows_at_once)):
            rows = np.zeros((len(part), n_blocks))
            if self.size:
                np.put_along_axis(rows, np.array(part), 1.0, axis=1)
            yield rows


class _Lowest:
    """The lowest states found so far, as energy in steps and blocks, best first."""

    def __init__(self, count: int, step: float) -> None:
        self.count = count
        self.step = step
        self.states: list[tuple[float, list[int]]] = []

    def add(self, energies: Matrix, left: Matrix, right: Matrix) -> None:
        """Add the lowest of the energies `[left, right]` of pairs of halves."""
        import numpy as np

        flat = energies.ravel()
        for cell in self._promising(flat):
            row, column = divmod(int(cell), len(right))
            blocks = np.flatnonzero(left[row] + right[column]).tolist()
            self.states.append((float(np.rint(flat[cell] / self.step)), blocks))
        self.states = sorted(self.states)[: self.count]

    def _promising(self, flat: Matrix) -> NDArray[np.intp]:
        """Return the cells that could be among the lowest, at most `count`."""
        import numpy as np

        is_full = len(self.states) == self.count
        worst = (self.states[-1][0] + 1) * self.step if is_full else np.inf
        cells = np.flatnonzero(flat <= worst)
        if len(cells) > self.count:
            worst = np.partition(flat[cells], self.count - 1)[self.count - 1] + self.step
            cells = cells[flat[cells] <= worst]
        lowest = np.argsort(np.rint(flat[cells] / self.step), kind="stable")
        return cells[lowest[: self.count]]


def _try_all(q: Matrix, left: _Half, right: _Half, best: _Lowest) -> None:
    """Evaluate all pairs of a left and a right half."""
    few, many = sorted((left, right), key=lambda side: side.count)
    (few_rows,) = few.parts(len(q), few.count)
    few_energies = _energies(q, few_rows)
    at_once = max(1, min(ROWS_AT_ONCE, CELLS_AT_ONCE // few.count))
    for rows in many.parts(len(q), at_once):
        both = ((few_rows, few_energies), (rows, _energies(q, rows)))
        (left_rows, of_left), (right_rows, of_right) = both if few is left else both[::-1]
        energies = (2 * left_rows @ q) @ right_rows.T
        energies += of_left[:, None]
        energies += of_right
        best.add(energies, left_rows, right_rows)


def _energies(q: Matrix, rows: Matrix) -> Matrix:
    energies: Matrix = ((rows @ q) * rows).sum(1)
    return energies
