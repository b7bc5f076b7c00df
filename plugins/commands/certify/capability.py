"""A capability: what both models score, their difference with its interval, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prunekit.engine.verdict import Verdict
from prunekit.plugins.commands.certify.thresholds import (
    HURT,
    KEPT,
    LOST,
    UNCLEAR,
    Threshold,
    passes,
)

Z = 1.959964
"""Both tails of the normal distribution beyond it hold 5 %."""


@dataclass(frozen=True)
class Interval:
    """A difference, and from where to where it reaches at 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Capability:
    """One capability of both models. Scores are from 0 to 1, higher is better."""

    name: str
    says: str
    """what the score is"""
    unit: str
    """what was scored: prompts, exercises, items, windows"""
    n: int
    """how many"""
    dense: float
    pruned: float
    difference: Interval
    """pruned - dense"""
    chance: float
    """the score of a guess"""
    threshold: Threshold
    verdict: str
    """`kept`, `hurt`, `lost` or `cannot be told`"""
    why: str
    """why there is no verdict; otherwise empty"""

    @property
    def passed(self) -> bool:
        """Return whether the verdict is no worse than required."""
        return passes(self.verdict, self.threshold.require)


def paired_difference(dense: Sequence[float], pruned: Sequence[float]) -> Interval:
    """Return the mean difference of scores from 0 to 1 of the same items, and its interval.

    Where all items are right or wrong, this is the interval of Agresti and Min (Statistics in
    Medicine 2005) for paired proportions: a half is added to each of the four cells, so that few
    items without a difference do not pass for certainty. For scores between, the two imagined
    items, which differ by -1 and by +1 at half their weight, widen it in the same way.
    """
    differences = [b - a for a, b in zip(dense, pruned, strict=True)]
    return interval_of(math.fsum(differences), math.fsum(d * d for d in differences), len(dense))


def interval_of(total: float, squares: float, n: int) -> Interval:
    """Return the interval from the sum and the sum of squares of n differences.

    >>> round(interval_of(0.0, 0.0, 40).high, 4)
    0.0467
    """
    centre = total / (n + 2)
    spread = math.sqrt(max(0.0, (squares + 1) / (n + 2) - centre**2) / (n + 2))
    low, high = max(-1.0, centre - Z * spread), min(1.0, centre + Z * spread)
    value = total / n if n else 0.0
    return Interval(value, min(low, value), max(high, value))


def of_perplexity(verdict: Verdict) -> Interval:
    """Return the dense over the pruned perplexity, less the 1 of the dense model itself."""
    if verdict.ratio is None:
        return Interval(-1.0, -1.0, -1.0)
    high = 0.0 if verdict.high is None else 1 / verdict.high
    low = 1.0 if verdict.low is None else 1 / verdict.low
    return Interval(1 / verdict.ratio - 1, high - 1, low - 1)


def judged(
    name: str,
    says: str,
    unit: str,
    n: int,
    dense: float,
    difference: Interval,
    threshold: Threshold,
    chance: float = 0.0,
) -> Capability:
    """Return the capability with its verdict.

    A share `threshold.lost` of what the dense model scores above chance is at stake. Kept: the
    whole interval of the difference is above -`threshold.kept`, or above what is at stake if that
    is less. Else hurt, if the whole interval is below 0, and lost, if all of it says that what is
    at stake is gone. There is no verdict where the interval allows both.
    """
    at_stake = threshold.lost * (dense - chance)
    why, verdict = "", UNCLEAR
    if at_stake > 0 and difference.low >= -min(threshold.kept, at_stake):
        verdict = KEPT
    elif at_stake > 0 and difference.high < 0:
        verdict = LOST if difference.high <= -at_stake else HURT
    elif at_stake < threshold.kept:
        by_chance = f", by chance {chance:.2f}" if chance else ""
        why = f"the dense model scores only {dense:.2f}{by_chance}"
    else:
        why = f"too few {unit} ({n:,}): from {difference.low:+.2f} to {difference.high:+.2f}"
    return Capability(
        name=name,
        says=says,
        unit=unit,
        n=n,
        dense=dense,
        pruned=dense + difference.value,
        difference=difference,
        chance=chance,
        threshold=threshold,
        verdict=verdict,
        why=why,
    )
