"""Count what the searches of a study will ask for, before anything is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from prunekit.core.errors import PrunekitError
from prunekit.engine.cost import Cost, importance_cost
from prunekit.engine.dry_run import dry_run
from prunekit.engine.plan import Plan, check_searcher
from prunekit.engine.study_folder import CellFailure

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group


class DryRuns:
    """Runs each kind of group once: made-up losses are the same for all objectives."""

    def __init__(self, seconds: float = math.inf) -> None:
        """All dry runs together are cut off after about that many seconds."""
        self._end = time.monotonic() + seconds
        self._known: dict[Hashable, tuple[Cost, dict[int, PrunekitError]]] = {}

    def cost(self, group: Group) -> Cost:
        """Return the cost of a group; nothing if the shape of its model is not known."""
        return self._of(group)[0]

    def failures(self, group: Group) -> list[CellFailure]:
        """Return the cells whose searchers refuse their problem, or break their contract."""
        cells = [cell for cell, plan in group.plans.items() if plan is not None]
        return [CellFailure(cells[i], str(error)) for i, error in self._of(group)[1].items()]

    def _of(self, group: Group) -> tuple[Cost, dict[int, PrunekitError]]:
        plans = [plan for plan in group.plans.values() if plan is not None]
        if not plans:
            return Cost(), {}
        kind = (
            tuple(repr(objective) for objective, _ in plans[0].parts) if plans[0].is_mix else None,
            tuple((repr(plan.searcher), repr(plan.problem)) for plan in plans),
        )
        if kind not in self._known:
            self._known[kind] = self._run(plans)
        return self._known[kind]

    def _run(self, plans: Sequence[Plan]) -> tuple[Cost, dict[int, PrunekitError]]:
        refused = {i: error for i, plan in enumerate(plans) if (error := _refusal(plan))}
        searches = {i: (p.searcher, p.problem) for i, p in enumerate(plans) if i not in refused}
        measured = importance_cost(plans[0].problem.n_blocks)
        cost, failed = dry_run(searches, measured, self._end, plans[0].measured_first)
        return cost, {**refused, **failed}


def expected_subsets(groups: Sequence[Group], seconds: float) -> float | None:
    """Return how many different subsets the groups measure; None if that takes too long."""
    dry_runs = DryRuns(seconds)
    cost = sum(map(dry_runs.cost, groups), start=Cost())
    return cost.measured if cost.complete else None


def _refusal(plan: Plan) -> PrunekitError | None:
    """Return why the search is known to fail before it begins, if it is."""
    try:
        check_searcher(plan)
    except PrunekitError as error:
        return error
    return None
