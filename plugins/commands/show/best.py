"""Rank the subsets of one size that a journal holds, whatever search asked for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from prunekit.core.contracts import overrides
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Objective
from prunekit.core.measurement import Measurement, Reduce, loss_of, mean_loss
from prunekit.core.options import build, options_of
from prunekit.core.problem import Subset
from prunekit.core.registry import Registry
from prunekit.engine.cache import join
from prunekit.engine.journal import Journal
from prunekit.engine.paired import are_apart
from prunekit.engine.reading import Difference
from prunekit.engine.statistics import difference_error


@dataclass(frozen=True)
class RankedSubset:
    """A subset, and how much worse it is than the best."""

    removed: tuple[int, ...]
    loss: float
    behind: Difference
    """its loss minus that of the best, with the standard error over samples"""
    apart: bool
    """whether they differ significantly, corrected for the number of subsets shown"""


@dataclass(frozen=True)
class ShownBest:
    """The best subsets of one size in a journal, on its whole calibration set."""

    kind: ClassVar[str] = "best subsets"
    folder: str
    objective: str
    unit: str
    samples: int
    budget: int
    measured: int
    """subsets of this size"""
    subsets: Sequence[RankedSubset]
    """the best of them first"""


def best_subsets(
    folder: Path, describes: Mapping[str, Any], registry: Registry, budget: int | None, most: int
) -> ShownBest:
    """Rank the subsets of `budget` blocks in a journal, and return at most `most`.

    Raises ConfigError if none was measured on the whole calibration set, or if the objective is not
    installed.
    """
    if most < 1:
        raise ConfigError(f"--best {most}: expected 1 or more")
    cls, name = _objective(folder, describes, registry)
    journal = Journal(folder, describes)
    samples, by_size = _measured(journal)
    if budget not in by_size:
        sizes = ", ".join(map(str, sorted(by_size))) or "none"
        given = "--budget is needed" if budget is None else f"--budget {budget}: no such subset"
        raise ConfigError(
            f"{folder}: {given}; measured on all {samples} samples are subsets of this many "
            f"blocks: {sizes}"
        )
    reduce = _reduce(cls, describes.get("options", {}), name)
    of_size = by_size[budget]

    def measured(subset: Subset) -> Measurement:
        parts = journal.recall(subset, samples)
        assert parts is not None  # as it is in `by_size`
        return join(parts)

    ranked = _ranked(of_size, measured, reduce, most)
    return ShownBest(str(folder), name, cls.unit, samples, budget, len(of_size), ranked)


def _ranked(
    subsets: Sequence[Subset],
    measured: Callable[[Subset], Measurement],
    reduce: Reduce,
    most: int,
) -> list[RankedSubset]:
    losses = {subset: loss_of(measured(subset), reduce) for subset in subsets}
    order = sorted(losses, key=lambda s: (losses[s], sorted(s)))[:most]
    first = order[0]
    behind = []
    for subset in order:
        gap = losses[subset] - losses[first]
        error = difference_error(measured(subset), measured(first), reduce)
        behind.append(Difference(gap if math.isfinite(gap) else None, error))
    return [
        RankedSubset(tuple(sorted(subset)), losses[subset], difference, apart)
        for subset, difference, apart in zip(order, behind, are_apart(behind), strict=True)
    ]


def _measured(journal: Journal) -> tuple[int, dict[int, list[Subset]]]:
    """Return the number of samples, and by size the subsets measured on all of them."""
    samples = journal.known.end
    found: dict[int, list[Subset]] = {}
    for subset in journal.known:
        if journal.chain(subset, samples) is not None:
            found.setdefault(len(subset), []).append(subset)
    return samples, found


def _objective(
    folder: Path, describes: Mapping[str, Any], registry: Registry
) -> tuple[type[Objective], str]:
    """Return the class that measured a journal, and its name. Raises ConfigError without it."""
    wanted = describes["objective"]
    for entry in registry.entries:
        place = f"{entry.cls.__module__}.{entry.cls.__qualname__}"
        if entry.kind == "objective" and place == wanted:
            return entry.cls, registry.label(entry)
    raise ConfigError(
        f"{folder}: measured under {wanted}, which is not installed; losses cannot be computed "
        "without it"
    )


def _reduce(cls: type[Objective], options: Mapping[str, Any], name: str) -> Reduce:
    """Return how an objective with these options makes a loss of sums and weights."""
    if not overrides(cls, Objective.reduce):
        return mean_loss
    known = {option.name for option in options_of(cls)}
    given = {k: v for k, v in options.items() if k in known and v is not None}
    objective = build(cls, given, name)

    def reduce(sums: Sequence[float], weights: Sequence[float]) -> float:
        with blaming("objective", objective):
            return float(objective.reduce(sums, weights))

    return reduce
