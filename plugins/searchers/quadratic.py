"""Minimise a quadratic function over subsets of fixed size.

The energy of a subset is the sum of Q[i, j] over i and j in it, for a symmetric Q. The diagonal
of Q holds the fields; each coupling is split over both sides of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core import Subset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

MOST_STATES = 10**10
STEP = 2.0**-36
ENOUGH_TO_LIMIT = 10**8
"""States that take longer to enumerate than tabu search takes to find low ones."""
ROWS_AT_ONCE = 50_000
CELLS_AT_ONCE = 4_000_000
READS = 64


def lowest(q: Matrix, size: int, count: int, seed: int) -> list[Subset]:
    """Return the `count` subsets of that size with the lowest energy, best first.

    Exact up to 10^10 subsets, by enumeration; above that the best that tabu search finds. Ties, up
    to rounding, are broken by the order of the blocks.
    """
    step = step_of(q)
    if math.comb(len(q), size) <= MOST_STATES:
        found = enumerate_lowest(q, size, count, _limit(q, size, count, seed))
    else:
        found = tabu_lowest(q, size, seed)
    return sorted(found, key=lambda s: (round(energy(q, s) / step), sorted(s)))[:count]


def energy(q: Matrix, subset: Subset) -> float:
    chosen = sorted(subset)
    return float(q[chosen][:, chosen].sum())


def step_of(q: Matrix) -> float:
    """Return the step such that energies rounding to the same multiple count as equal.

    It is far above the effect of summation order and far below any difference that matters.
    """
    import numpy as np

    return STEP * float(np.abs(q).max()) or 1.0


def _limit(q: Matrix, size: int, count: int, seed: int) -> float:
    """Return an energy that the lowest states do not exceed; infinite where that saves nothing."""
    if math.comb(len(q), size) < ENOUGH_TO_LIMIT:
        return math.inf
    energies = sorted(energy(q, subset) for subset in tabu_lowest(q, size, seed))
    return energies[count - 1] if len(energies) >= count else math.inf


def enumerate_lowest(q: Matrix, size: int, count: int, limit: float = math.inf) -> set[Subset]:
    """Return the `count` subsets of that size with the lowest energy, or all if there are fewer.

    Ties are broken by the order of the blocks. The blocks are split into halves: E = E_left +
    E_right + 2 x_left Q x_right, so that the energies of all pairs of halves are one matrix
    product. The half with more subsets is processed in parts, without those halves whose states
    all exceed what is known already, or `limit`.
    """
    best = _Lowest(count, step_of(q), limit)
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

    def __init__(self, count: int, step: float, limit: float = math.inf) -> None:
        """`limit` is an energy that those to be found do not exceed."""
        self.count = count
        self.step = step
        self.limit = limit
        self.states: list[tuple[float, list[int]]] = []

    @property
    def worst(self) -> float:
        """An energy above which no state is among the lowest."""
        is_full = len(self.states) == self.count
        known = (self.states[-1][0] + 1) * self.step if is_full else math.inf
        return min(known, self.limit + self.step)

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

        cells = np.flatnonzero(flat <= self.worst)
        if len(cells) > self.count:
            worst = np.partition(flat[cells], self.count - 1)[self.count - 1] + self.step
            cells = cells[flat[cells] <= worst]
        lowest = np.argsort(np.rint(flat[cells] / self.step), kind="stable")
        return cells[lowest[: self.count]]


def _try_all(q: Matrix, left: _Half, right: _Half, best: _Lowest) -> None:
    """Evaluate all pairs of a left and a right half."""
    few, many = sorted((left, right), key=lambda side: side.count)
    (few_rows,) = few.parts(len(q), few.count)
    for many_rows in many.parts(len(q), ROWS_AT_ONCE):
        rows = _Rows(few_rows, _energies(q, few_rows)), _Rows(many_rows, _energies(q, many_rows))
        some, others = (
            one.that_can_be_below(best.worst, q, other, side)
            for one, other, side in zip(rows, rows[::-1], (many, few), strict=True)
        )
        for part in others.parts(max(1, CELLS_AT_ONCE // max(1, len(some.rows)))):
            of_left, of_right = (some, part) if few is left else (part, some)
            energies = (2 * of_left.rows @ q) @ of_right.rows.T
            energies += of_left.energies[:, None]
            energies += of_right.energies
            best.add(energies, of_left.rows, of_right.rows)


@dataclass(frozen=True)
class _Rows:
    """Subsets of a half, as rows of 0 and 1, with their energies."""

    rows: Matrix
    energies: Matrix

    def that_can_be_below(self, worst: float, q: Matrix, others: _Rows, side: _Half) -> _Rows:
        """Leave out rows whose energy with any of `others`, subsets of `side`, exceeds `worst`.

        Bounded from below by the lowest energy of the others, and the lowest couplings to as many
        blocks.
        """
        import numpy as np

        if math.isinf(worst):
            return self
        couplings = 2 * self.rows @ q[:, side.blocks]
        lowest_couplings = np.sort(couplings, axis=1)[:, : side.size].sum(1)
        bound = self.energies + others.energies.min() + lowest_couplings
        possible = bound <= worst + step_of(q)
        return _Rows(self.rows[possible], self.energies[possible])

    def parts(self, at_once: int) -> Iterator[_Rows]:
        for start in range(0, len(self.rows), at_once):
            part = slice(start, start + at_once)
            yield _Rows(self.rows[part], self.energies[part])


def _energies(q: Matrix, rows: Matrix) -> Matrix:
    energies: Matrix = ((rows @ q) * rows).sum(1)
    return energies


def tabu_lowest(q: Matrix, size: int, seed: int) -> set[Subset]:
    """Return the subsets that tabu search finds, and all that differ from them by one swap.

    A penalty takes the place of the constraint on the size.
    """
    from dwave.samplers import TabuSampler

    blocks = range(len(q))
    full = penalised(q, size)
    sampler: Any = TabuSampler()  # type: ignore[no-untyped-call]
    result = sampler.sample_qubo(
        {(i, i): full[i, i] for i in blocks}
        | {(i, j): 2 * full[i, j] for i, j in itertools.combinations(blocks, 2)},
        num_reads=READS,
        num_restarts=0,
        timeout=None,  # a time limit would make the result depend on the machine
        seed=seed,
    )
    found = {frozenset(i for i, x in sample.items() if x) for sample in result.samples()}
    found = {subset for subset in found if len(subset) == size}
    swaps = ((s, i, j) for s in found for i in s for j in blocks if j not in s)
    return found | {s - {i} | {j} for s, i, j in swaps}


def penalised(q: Matrix, size: int) -> Matrix:
    """Add lambda (|S| - size)^2 - lambda size^2 to the energies.

    With lambda above twice the largest row sum of magnitudes, every subset of another size has a
    higher energy than the best one of this size.
    """
    import numpy as np

    penalty = 2 * float(np.abs(q).sum(1).max()) + 1.0
    full: Matrix = q + penalty * (1 - 2 * size * np.eye(len(q)))
    return full
