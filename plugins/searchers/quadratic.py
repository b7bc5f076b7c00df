"""Minimise a quadratic function of subsets of fixed size.

The energy of a subset S is the sum of Q[i, j] over i and j in S, for a symmetric Q: fields on the
diagonal, half of each coupling on either side of it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core import Subset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

MOST_STATES = 10**10
CELLS_AT_ONCE = 4_000_000
TABU_READS = 64


def lowest(q: Matrix, size: int, count: int, seed: int) -> list[Subset]:
    """The `count` subsets of that size with the least energy, the best first.

    Exact up to 10^10 subsets, by enumeration; above that the best that tabu search finds. Of equal
    energies the subset that comes first in order wins.
    """
    possible = math.comb(len(q), size)
    found = _enumerate(q, size, count) if possible <= MOST_STATES else _tabu(q, size, seed)
    ranked = sorted(found, key=lambda pair: (pair[0], sorted(pair[1])))
    return [subset for _, subset in ranked[:count]]


def energy(q: Matrix, subset: Subset) -> float:
    """The energy of one subset."""
    chosen = sorted(subset)
    return float(q[chosen][:, chosen].sum())


def _enumerate(q: Matrix, size: int, count: int) -> list[tuple[float, Subset]]:
    """Split the blocks into halves: E = E_left + E_right + 2 x_left Q x_right."""
    best: list[tuple[float, Subset]] = []
    half = len(q) // 2
    for left_size in range(max(0, size - (len(q) - half)), min(half, size) + 1):
        left = _half(q, range(half), left_size)
        right = _half(q, range(half, len(q)), size - left_size)
        for part in _parts(q, left, right, count):
            best = heapq.nsmallest(count, best + part, key=lambda pair: (pair[0], sorted(pair[1])))
    return best


def _half(q: Matrix, blocks: range, size: int) -> tuple[NDArray[np.int8], Matrix]:
    """All subsets of that size of some blocks as rows of 0 and 1, and their energies."""
    import numpy as np

    chosen = list(itertools.combinations(blocks, size))
    rows = np.zeros((len(chosen), len(q)), dtype=np.int8)
    if size:
        np.put_along_axis(rows, np.array(chosen), 1, axis=1)
    return rows, np.einsum("si,ij,sj->s", rows, q, rows, optimize=True)


def _parts(
    q: Matrix,
    left: tuple[NDArray[np.int8], Matrix],
    right: tuple[NDArray[np.int8], Matrix],
    count: int,
) -> Iterator[list[tuple[float, Subset]]]:
    """The lowest pairs of a left and a right half, for some left halves at a time."""
    import numpy as np

    rows_left, energies_left = left
    rows_right, energies_right = right
    step = max(1, CELLS_AT_ONCE // len(rows_right))
    right_columns = rows_right.T.astype(np.float64)
    for start in range(0, len(rows_left), step):
        rows = rows_left[start : start + step]
        cross = 2 * (rows @ q) @ right_columns
        total = energies_left[start : start + step, None] + energies_right[None] + cross
        flat = total.ravel()
        last = min(count, flat.size) - 1
        lowest_cells = np.argpartition(flat, last)[: last + 1]
        yield [_state(rows, rows_right, int(cell), float(flat[cell])) for cell in lowest_cells]


def _state(
    rows: NDArray[np.int8], rows_right: NDArray[np.int8], cell: int, value: float
) -> tuple[float, Subset]:
    i, j = divmod(cell, len(rows_right))
    return value, frozenset((rows[i] | rows_right[j]).nonzero()[0].tolist())


def _tabu(q: Matrix, size: int, seed: int) -> list[tuple[float, Subset]]:
    """Tabu search on the equivalent problem without a constraint, and all swaps from its finds.

    A penalty of lambda (|S| - size)^2 with lambda above twice the largest row sum makes every
    subset of another size worse than the best one of this size.
    """
    import numpy as np
    from dwave.samplers import TabuSampler

    n = len(q)
    penalty = 2 * float(np.abs(q).sum(1).max()) + 1.0
    full = q + penalty * (1 - 2 * size * np.eye(n))
    pairs = {(i, j): 2 * full[i, j] for i, j in itertools.combinations(range(n), 2)}
    sampler: Any = TabuSampler()  # type: ignore[no-untyped-call]
    result = sampler.sample_qubo(
        {(i, i): full[i, i] for i in range(n)} | pairs,
        num_reads=TABU_READS,
        num_restarts=0,
        timeout=None,  # a clock would make the outcome depend on the machine
        seed=seed,
    )
    found = {frozenset(i for i, x in sample.items() if x) for sample in result.samples()}
    found = {s for s in found if len(s) == size}
    swapped = {s - {i} | {j} for s in found for i in s for j in range(n) if j not in s}
    return [(energy(q, s), s) for s in found | swapped]
