"""A curve in words."""

from __future__ import annotations

from collections.abc import Sequence

from prunekit.core.problem import words
from prunekit.plugins.commands.curve.result import CurveResult


def about_knee(result: CurveResult) -> str:
    """Say where the knee is and how it was found, or that there is none."""
    which = "held-out loss" if result.held_out_samples else "loss on the calibration set"
    last = max(point.budget for point in result.points)
    if result.knee is None:
        return (
            f"no knee: the {which} nowhere lies below the straight line from 0 to {last} blocks; "
            "try a larger --budget"
        )
    return (
        f"knee at {result.knee.budget} of {result.n_blocks} blocks: there the {which} lies "
        f"furthest, {result.knee.below:.4f}, below the straight line from 0 to "
        f"{result.knee.last} blocks; another --budget may move it"
    )


def change(removed: Sequence[int], before: Sequence[int]) -> str:
    """Write the blocks of a point shortly: only what is new, if it removes those before, too.

    >>> change((2, 5, 7), (2, 7)), change((2, 5), (3,)), change((), ())
    ('+5', '2,5', 'dense')
    """
    if not removed:
        return "dense"
    new = [i for i in removed if i not in before]
    if len(new) == len(removed) - len(before):
        return f"+{words(new)}"
    return words(removed)
