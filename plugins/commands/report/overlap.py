"""Compare the subsets that two searches chose."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import Subset
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.measures import on_every_seed

if TYPE_CHECKING:
    import pandas as pd

FACTORS = ("objective", "searcher", "seed", "draw", "model")


def jaccard(a: Subset, b: Subset) -> float:
    """Divide the number of blocks that both removed by that of blocks that at least one removed.

    >>> jaccard(frozenset({1, 2, 3}), frozenset({2, 3, 4}))
    0.5
    """
    return len(a & b) / len(a | b)


def jaccard_by_chance(n_blocks: int, budget: int) -> float:
    """Return the expected Jaccard index of two random subsets.

    >>> jaccard_by_chance(2, 1)
    0.5
    """
    ways = math.comb(n_blocks, budget)
    return sum(
        math.comb(budget, both)
        * math.comb(n_blocks - budget, budget - both)
        / ways
        * both
        / (2 * budget - both)
        for both in range(1, budget + 1)
    )


@dataclass(frozen=True)
class Overlap:
    """Pairs of runs that differ in one factor only."""

    factor: str
    values: tuple[float, ...]
    """the Jaccard index of each pair, ascending"""
    by_chance: float

    @property
    def mean(self) -> float:
        """Return the mean over the pairs."""
        return fmean(self.values)


def overlap(runs: pd.DataFrame, factor: str) -> Overlap | None:
    """Compare the runs that differ in `factor` only; None if there are no such pairs.

    Two models count as a pair if they have equally many blocks.
    """
    same = ["n_blocks", "budget", *(name for name in FACTORS if name != factor)]
    values, chance = [], []
    for (n_blocks, budget, *_), group in runs.groupby(same, observed=True):
        pairs = list(itertools.combinations(group["removed"], 2))
        values += [jaccard(a, b) for a, b in pairs]
        chance += [jaccard_by_chance(n_blocks, budget)] * len(pairs)
    return Overlap(factor, tuple(sorted(values)), fmean(chance)) if values else None


def overlaps(study: Study, **fixed: Any) -> list[Overlap]:
    """Return the overlap for every factor in which some of the selected runs differ alone.

    Seeds are compared only if the searcher uses chance.
    """
    balanced = on_every_seed(study, **fixed)
    found = [overlap(study.where(**fixed) if f == "seed" else balanced, f) for f in FACTORS]
    return [o for o in found if o is not None]


Corner = tuple[str, str]
"""an objective and a searcher"""
Matrix = dict[Corner, dict[Corner, float]]


def agreement(study: Study, model: str, budget: int) -> Matrix:
    """Return the mean Jaccard index of every two pairs of objective and searcher.

    Runs with the same seed and draw are compared; on the diagonal, those that differ in seed or
    draw. Entries without two runs to compare are left out.
    """
    keys = ["objective", "searcher"]
    fixed = {"model": model, "budget": budget}
    runs = dict(list(study.where(**fixed).groupby(keys, observed=True)["removed"]))
    by_seed = {
        corner: dict(zip(zip(of["seed"], of["draw"], strict=True), of["removed"], strict=True))
        for corner, of in on_every_seed(study, **fixed).groupby(keys, observed=True)
    }
    matrix: Matrix = {corner: {} for corner in runs}
    for a, b in itertools.product(runs, repeat=2):
        shared = [(of, by_seed[b][key]) for key, of in by_seed[a].items() if key in by_seed[b]]
        pairs = shared if a != b else list(itertools.combinations(runs[a], 2))
        if pairs:
            matrix[a][b] = fmean(jaccard(x, y) for x, y in pairs)
    return matrix
