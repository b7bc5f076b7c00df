"""Search at several budgets at once: the searches share what they measure."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from prunekit.core.errors import PrunekitError, Remark
from prunekit.core.problem import DENSE, Subset
from prunekit.engine.cost import Cost, CostCounter
from prunekit.engine.dry_run import dry_run, dry_run_cost
from prunekit.engine.plan import Plan
from prunekit.engine.progress import Progress
from prunekit.engine.race import Race
from prunekit.engine.run import Choice, SearchRun, check_dense
from prunekit.engine.session import Session

DRY_RUN_SECONDS = 3.0


def plans_at(plan: Plan, budgets: Iterable[int]) -> dict[int, Plan]:
    """Return the plan of a search at each of these budgets. Raises ConfigError if one is none."""
    return {k: replace(plan, problem=replace(plan.problem, budget=k)) for k in budgets}


class BudgetSearch:
    """The searches of all budgets in lock-step, and how far the one with the largest is.

    It is made before the session, which is opened with `run.on_measured`.
    """

    def __init__(self, plans: Mapping[int, Plan], progress: Progress) -> None:
        self.plans = plans
        self.progress = progress
        self.plan = plans[max(plans)]
        settings = self.plan.config.settings
        race = Race(settings.race_deviations) if settings.race_deviations else None
        self.run = SearchRun[int](self._advance, partial(_name_of, settings.searcher), race)

    def choices(self, session: Session, what: str) -> dict[int, Subset]:
        """Return the choice at each budget, without those of searches that failed.

        Warns with a Remark that `what` has gaps if some did. Raises the error of the first if all
        failed, CheckpointError if the dense model is broken.
        """
        self.progress.begin("measuring the dense model")
        check_dense(session, self.plan.spec.model)
        self.run.start(session, self.plans)
        self.progress.begin("searching", "subsets", partial(_expected, self.plan))
        outcomes = self.run.finish(session, self.plans)
        chosen = {k: outcomes[k] for k in self.plans}
        failed = {k: e for k, e in chosen.items() if isinstance(e, PrunekitError)}
        _say_failed(self.plans, failed, f"{what} has gaps")
        return {k: choice.removed for k, choice in chosen.items() if isinstance(choice, Choice)}

    def _advance(self, run: SearchRun[int]) -> None:
        """Show how far the search with the largest budget is."""
        if driver := run.lockstep.drivers.get(max(self.plans)):
            note = "" if driver.best is None else f"best {driver.losses[driver.best]:.4f}"
            self.progress.advance(driver.asked + run.measured_now, note)


def count_at(plans: Mapping[int, Plan], states: int, what: str) -> Cost:
    """Count what the searches ask for on made-up losses; what several ask for counts once.

    `states` is how many are kept between requests. Warns and raises like `choices`.
    """
    plan = plans[max(plans)]
    measured = CostCounter(plan.problem.n_blocks, states)
    measured.measure([DENSE, *plan.measured_first])
    searches = {k: (p.searcher, p.problem) for k, p in plans.items()}
    cost, failed = dry_run(searches, measured, also=plan.measured_first)
    _say_failed(plans, failed, f"{what} would have gaps")
    return cost


def _say_failed(plans: Mapping[int, Any], failed: Mapping[int, PrunekitError], remark: str) -> None:
    errors = [failed[k] for k in plans if k in failed]
    if errors and len(errors) == len(plans):
        raise errors[0]
    if errors:
        warnings.warn(f"{remark}: {errors[0]}", Remark, stacklevel=3)


def _name_of(searcher: str, budget: int) -> str:
    return f"{searcher} at a budget of {budget}"


def _expected(plan: Plan) -> float | None:
    cost = dry_run_cost(plan.searcher, plan.problem, DRY_RUN_SECONDS)
    return cost.asked if cost.complete else None
