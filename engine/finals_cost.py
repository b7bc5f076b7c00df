"""What finalists cost at most, before a search."""

from __future__ import annotations

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
    """finalists, what rankings choose, and the dense model"""
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
    times = times_held_out(timed[1]) if timed else None
    if not most or not cost.asked or held_out_plan(plan, times or 1) is None:
        return None
    others = most + len(rankings(load()))
    subsets = others + 1
    if timed is None or times is None:
        return FinalsCost(subsets)
    n_blocks = plan.problem.n_blocks
    runs = times * (others * (n_blocks - plan.problem.budget) + n_blocks)
    seconds = timed[0].seconds(runs, times * subsets)
    return FinalsCost(subsets, times, len(plan.parts) * runs, seconds)
