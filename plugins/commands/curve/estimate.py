"""Estimate what a curve will cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prunekit.engine.budgets import count_at
from prunekit.engine.cost import Cost, Speed
from prunekit.engine.estimate import Estimate, estimate_work
from prunekit.engine.finals_cost import FinalsCost, held_out_cost
from prunekit.engine.plan import Plan, check_searcher
from prunekit.engine.progress import Progress


def estimate_curve(plans: Mapping[int, Plan], progress: Progress | None = None) -> Estimate:
    """Run the searches of all budgets side by side on made-up losses, and time one batch.

    What several of them ask for counts once among what is measured. Raises PrunekitError if the
    curve could not begin.
    """
    for plan in plans.values():
        check_searcher(plan)
    work = _Work(plans)
    return estimate_work(plans[max(plans)], work.count, work.held_out, progress or Progress())


@dataclass(frozen=True)
class _Work:
    """What a curve measures."""

    plans: Mapping[int, Plan]

    def count(self, states: int) -> Cost:
        """Count what the searches ask for. Raises the error of the first search if all fail."""
        return count_at(self.plans, states, "the curve")

    def held_out(self, cost: Cost, timed: tuple[Speed, int] | None) -> FinalsCost | None:
        """Count each choice and the dense model on held-out samples."""
        return held_out_cost(self.plans[max(self.plans)], [0, *self.plans], timed)
