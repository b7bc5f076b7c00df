"""Estimate what a curve will cost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from prunekit.core.errors import Remark
from prunekit.core.problem import DENSE
from prunekit.engine.cost import Cost, CostCounter, Speed
from prunekit.engine.dry_run import dry_run
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
        plan = self.plans[max(self.plans)]
        measured = CostCounter(plan.problem.n_blocks, states)
        measured.measure([DENSE, *plan.measured_first])
        searches = {k: (p.searcher, p.problem) for k, p in self.plans.items()}
        cost, failed = dry_run(searches, measured, also=plan.measured_first)
        errors = [failed[k] for k in self.plans if k in failed]
        if len(errors) == len(self.plans):
            raise errors[0]
        if errors:
            warnings.warn(f"the curve would have gaps: {errors[0]}", Remark, stacklevel=2)
        return cost

    def held_out(self, cost: Cost, timed: tuple[Speed, int] | None) -> FinalsCost | None:
        """Count each choice and the dense model on held-out samples."""
        return held_out_cost(self.plans[max(self.plans)], [0, *self.plans], timed)
