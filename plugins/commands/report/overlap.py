"""How much the subsets of two searches have in common."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from prunekit.core.problem import Subset
from prunekit.plugins.commands.report.reading import Run, Study, on_every_seed

FACTORS = ("objective", "searcher", "seed", "draw", "model")


def jaccard(a: Subset, b: Subset) -> float:
    """Blocks that both removed, over blocks that at least one removed.

    >>> jaccard(frozenset({1, 2, 3}), frozenset({2, 3, 4}))
    0.5
    """
    return len(a & b) / len(a | b)


def jaccard_by_chance(n_blocks: int, budget: int) -> float:
    """What two subsets drawn at random have on average.

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
    """Pairs of runs that differ in one thing only."""

    factor: str
    values: tuple[float, ...]
    """the Jaccard index of each pair, ascending"""
    by_chance: float

    @property
    def mean(self) -> float:
        """Over the pairs."""
        return fmean(self.values)


def overlap(runs: Sequence[Run], factor: str) -> Overlap | None:
    """How alike the subsets of runs are that differ in `factor` alone; None without such pairs.

    Two models count as a pair where they have equally many blocks.
    """
    others = [name for name in (*FACTORS, "budget") if name != factor]
    groups: dict[object, list[Run]] = {}
    for run in runs:
        key = (run.result.n_blocks, *(getattr(run.cell, name) for name in others))
        groups.setdefault(key, []).append(run)
    pairs = [pair for group in groups.values() for pair in itertools.combinations(group, 2)]
    if not pairs:
        return None
    chance = fmean(jaccard_by_chance(a.result.n_blocks, a.cell.budget) for a, _ in pairs)
    return Overlap(factor, tuple(sorted(jaccard(a.removed, b.removed) for a, b in pairs)), chance)


def overlaps(study: Study, **fixed: Any) -> list[Overlap]:
    """For every factor in which some of the runs with these values differ alone.

    Seeds are compared only where the searcher uses chance.
    """
    balanced = on_every_seed(study, **fixed)
    found = [overlap(study.where(**fixed) if f == "seed" else balanced, f) for f in FACTORS]
    return [o for o in found if o is not None]


Corner = tuple[str, str]
"""an objective and a searcher"""
Matrix = dict[Corner, dict[Corner, float]]


def agreement(study: Study, model: str, budget: int) -> Matrix:
    """The mean Jaccard index between every two pairs of objective and searcher.

    The mean goes over pairs of runs with the same seed and draw; of a pair with itself, over two
    runs that differ in seed or draw. What has no two runs to compare is not there.
    """
    groups: dict[Corner, list[Run]] = {}
    on_seeds: dict[Corner, list[Run]] = {}
    for objective in study.objectives:
        for searcher in study.searchers:
            fixed = {"model": model, "budget": budget, "objective": objective, "searcher": searcher}
            if runs := study.where(**fixed):
                groups[objective, searcher] = runs
                on_seeds[objective, searcher] = on_every_seed(study, **fixed)
    pairs = {
        (a, b): _to_itself(groups[a]) if a == b else _alike(on_seeds[a], on_seeds[b])
        for a, b in itertools.product(groups, repeat=2)
    }
    return {a: {b: m for b in groups if (m := pairs[a, b]) is not None} for a in groups}


def _to_itself(runs: Sequence[Run]) -> float | None:
    values = [jaccard(a.removed, b.removed) for a, b in itertools.combinations(runs, 2)]
    return fmean(values) if values else None


def _alike(a: Sequence[Run], b: Sequence[Run]) -> float | None:
    chance = [(run.cell.seed, run.cell.draw) for run in b]
    values = [
        jaccard(x.removed, y.removed)
        for x in a
        for y, of_y in zip(b, chance, strict=True)
        if (x.cell.seed, x.cell.draw) == of_y
    ]
    return fmean(values) if values else None
