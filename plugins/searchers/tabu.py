"""Search for subsets of low energy by tabu search."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from prunekit.core import Subset

if TYPE_CHECKING:
    from prunekit.plugins.searchers.energies import Matrix

READS = 64


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
