"""What the searches of a group will ask for together, before anything is measured."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import Problem, Subset
from prunekit.engine.cost import MOST_SUBSETS, made_up_loss
from prunekit.engine.lockstep import LockStep, importance_cost
from prunekit.engine.plan import Plan, check_searcher
from prunekit.engine.signals import synthetic_signals
from prunekit.plugins.commands.study.files import CellFailure
from prunekit.plugins.commands.study.planning import Group


@dataclass(frozen=True)
class GroupCost:
    """Counts of one group. Searchers that depend on losses may differ a little in earnest."""

    asked: int
    """subsets, repeats included"""
    measured: int
    """different subsets, with the dense model, every single removal and every choice"""
    block_runs: int
    """blocks run in lock-step, for all that is measured"""
    block_runs_alone: int
    """of what the searches ask for, where each runs alone, with its own prefixes shared"""
    block_runs_unshared: int
    """the same where every subset asked is measured by itself"""
    complete: bool
    """False where the rehearsal was cut off"""

    def under(self, n_objectives: int) -> GroupCost:
        """The same where every subset is measured under several objectives."""
        names = ("block_runs", "block_runs_alone", "block_runs_unshared")
        return replace(self, **{name: n_objectives * getattr(self, name) for name in names})


@dataclass(frozen=True)
class Rehearsed:
    """What came of rehearsing the searches of a group."""

    cost: GroupCost
    failed: Mapping[int, str]
    """why a search cannot run, by its place among those with a plan"""


class Rehearsals:
    """Rehearses each kind of group once: made-up losses are the same for all objectives."""

    def __init__(self, seconds: float = math.inf) -> None:
        """All rehearsals together are cut off after about that many seconds."""
        self._end = time.monotonic() + seconds
        self._known: dict[Hashable, Rehearsed] = {}

    def cost(self, group: Group) -> GroupCost | None:
        """None where the model's shape is not known."""
        rehearsed = self._of(group)
        return rehearsed.cost if rehearsed else None

    def failures(self, group: Group) -> list[CellFailure]:
        """The cells whose searchers refuse their problem, or break their contract."""
        rehearsed = self._of(group)
        cells = [cell for cell, plan in group.plans.items() if plan is not None]
        return [CellFailure(cells[i], e) for i, e in rehearsed.failed.items()] if rehearsed else []

    def _of(self, group: Group) -> Rehearsed | None:
        plans = [plan for plan in group.plans.values() if plan is not None]
        if not plans:
            return None
        kind = (
            tuple(repr(objective) for objective, _ in plans[0].parts) if plans[0].is_mix else None,
            tuple((repr(plan.searcher), repr(plan.problem)) for plan in plans),
        )
        if kind not in self._known:
            self._known[kind] = self._rehearse(plans)
        return self._known[kind]

    def _rehearse(self, plans: Sequence[Plan]) -> Rehearsed:
        n = plans[0].problem.n_blocks
        refused = {i: why for i, plan in enumerate(plans) if (why := _refusal(plan))}
        searches = {i: _copied(plan) for i, plan in enumerate(plans) if i not in refused}
        lockstep = LockStep(searches, plans[0].measured_first)
        merged = importance_cost(n)

        def evaluate(wanted: Sequence[Subset]) -> dict[Subset, float]:
            merged.measure([*wanted, *lockstep.removed.values()])
            return {subset: made_up_loss(subset, n) for subset in wanted}

        lockstep.run(evaluate, lambda: self._is_too_long(lockstep))
        costs = lockstep.costs.values()
        cost = GroupCost(
            asked=sum(counter.asked for counter in costs),
            measured=len(merged.seen),
            block_runs=merged.block_runs,
            block_runs_alone=sum(counter.block_runs for counter in costs),
            block_runs_unshared=sum(counter.block_runs_alone for counter in costs),
            complete=not lockstep.running,
        )
        return Rehearsed(cost, {**refused, **lockstep.failed})

    def _is_too_long(self, lockstep: LockStep[int]) -> bool:
        asked = sum(counter.asked for counter in lockstep.costs.values())
        return asked >= MOST_SUBSETS or time.monotonic() >= self._end


def sum_of(costs: Sequence[GroupCost]) -> GroupCost:
    """The costs of several groups together."""
    names = [field.name for field in fields(GroupCost) if field.name != "complete"]
    sums = {name: sum(getattr(cost, name) for cost in costs) for name in names}
    return GroupCost(**sums, complete=all(cost.complete for cost in costs))


def expected_subsets(groups: Sequence[Group], seconds: float) -> float | None:
    """How many different subsets the groups measure; None where no rehearsal tells in time."""
    rehearsals = Rehearsals(seconds)
    cost = sum_of([cost for group in groups if (cost := rehearsals.cost(group))])
    return cost.measured if cost.complete else None


def _refusal(plan: Plan) -> str:
    """Why the search can be known to fail; empty where it cannot."""
    try:
        check_searcher(plan)
    except PrunekitError as error:
        return str(error)
    return ""


def _copied(plan: Plan) -> tuple[Searcher, Problem]:
    signals = synthetic_signals(plan.searcher, plan.problem.n_blocks)
    return copy.deepcopy(plan.searcher), replace(plan.problem, signals=signals)
