"""The finalists of a search on held-out samples, as results give them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.engine.reading import Difference
from prunekit.engine.stored import check_counts, check_difference, check_removed

ENOUGH_SAMPLES, MOST_TIMES = 64, 8
"""Held-out samples wanted, but at most this multiple of those of the calibration set."""


def times_held_out(n_samples: int) -> int:
    """Return how many times the calibration samples to hold out.

    >>> [times_held_out(n) for n in (4, 16, 32, 64, 128)]
    [8, 4, 2, 1, 1]
    """
    return min(MOST_TIMES, max(1, math.ceil(ENOUGH_SAMPLES / n_samples)))


@dataclass(frozen=True)
class Finalist:
    """A subset that was measured again on held-out samples."""

    removed: tuple[int, ...]
    found_by: str
    """the searcher, or a ranking"""
    loss: float | None
    """on the calibration set"""
    held_out: float | None
    behind: Difference
    """its held-out loss minus that of the winner"""
    apart: bool
    """whether they differ significantly, corrected for the number of finalists"""


@dataclass(frozen=True)
class HeldOut:
    """The finalists of a search on held-out samples, the winner first."""

    samples: int
    dense: float | None
    """the held-out loss of the dense model"""
    finalists: tuple[Finalist, ...]
    overfitting: Difference
    """how much more the choice of the search adds to the held-out loss than to that on its
    calibration set, the dense model subtracted from each"""
    above: Difference | None = None
    """the winner's held-out loss minus the dense one; None in results of earlier versions"""

    @property
    def winner(self) -> frozenset[int]:
        """Return the subset with the lowest held-out loss."""
        return frozenset(self.finalists[0].removed)

    def of(self, removed: Iterable[int]) -> Finalist | None:
        """Return a finalist by its blocks, None if it is not one."""
        wanted = frozenset(removed)
        return next((f for f in self.finalists if frozenset(f.removed) == wanted), None)


def check_held_out(row: Mapping[str, Any], n_blocks: int, budget: int) -> None:
    """Raise ValueError unless the finalists in a file are subsets of the model's blocks."""
    check_counts(row, "samples", name="held_out")
    check_counts(row["overfitting"], "standard_error", name="held_out.overfitting")
    if not row["finalists"]:
        raise ValueError("held_out.finalists cannot be empty")
    for finalist in row["finalists"]:
        check_removed(finalist["removed"], n_blocks, budget)
        check_counts(finalist["behind"], "standard_error", name="held_out.finalists.behind")
    if above := row.get("above"):
        check_counts(above, "standard_error", name="held_out.above")
        check_difference(above["value"], row["finalists"][0]["held_out"], row["dense"])
