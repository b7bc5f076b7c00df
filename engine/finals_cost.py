"""What finalists cost at most, before a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prunekit.core.registry import load
from prunekit.engine.cost import Cost, Speed
from prunekit.engine.finalists import held_out_plan, rankings
from prunekit.engine.held_out import times_held_out
from prunekit.engine.plan import Plan


@dataclass(frozen=True)
class FinalsCost:
    """What is measured on held-out samples at most, after the search."""

    subsets: int
    """finalists, what rankings choose, and the dense model; of a curve its points"""
    times: int | None = None
    """held-out samples, over those of the calibration set; None if its size is not known"""
    block_runs: int | None = None
    """blocks run, each over as many samples as the calibration set has, nothing shared"""
    seconds: float | None = None


def finals_cost(plan: Plan, cost: Cost, timed: tuple[Speed, int] | None) -> FinalsCost | None:
    """Return the cost; None if nothing will be measured on held-out samples.

    `cost` is that of the search, `timed` its speed and the number of its calibration samples, if
    they are known.
    """
    most = plan.config.settings.finalists
    if not most or not cost.asked:
        return None
    others = most + len(rankings(load()))
    return held_out_cost(plan, [0, *[plan.problem.budget] * others], timed)


def held_out_cost(
    plan: Plan, sizes: Sequence[int], timed: tuple[Speed, int] | None
) -> FinalsCost | None:
    """Return the cost of subsets of these sizes; None if no samples are held out."""
    times = times_held_out(timed[1]) if timed else None
    if held_out_plan(plan, times or 1) is None:
        return None
    if timed is None or times is None:
        return FinalsCost(len(sizes))
    runs = times * sum(plan.problem.n_blocks - size for size in sizes)
    seconds = timed[0].seconds(runs, times * len(sizes))
    return FinalsCost(len(sizes), times, len(plan.parts) * runs, seconds)
