"""Gather what came of a search."""

from __future__ import annotations

from dataclasses import replace

from prunekit.core.problem import DENSE
from prunekit.engine.held_out import HeldOut
from prunekit.engine.plan import Plan
from prunekit.engine.result import RunnerUp, SearchResult, Work
from prunekit.engine.run import Choice
from prunekit.engine.session import Session
from prunekit.engine.versions import versions
from prunekit.engine.weights import dtype_of
from prunekit.hf.reading import dtype_name
from prunekit.hf.side_files import tokenizer_digest


def result_of(
    plan: Plan, session: Session, choice: Choice, spent: Work, folder: str
) -> SearchResult:
    """Return the result of a search: its choice and its cost, before any finalists."""
    settings, facts, removed = plan.config.settings, session.facts, choice.removed
    dtype = dtype_of(plan.checkpoint, plan.model_config, plan.spec)
    return SearchResult(
        model=plan.spec.model,
        weights=facts.fingerprint["weights"],
        searcher=settings.searcher,
        objective=settings.objective,
        unit=plan.objective.unit,
        seed=settings.seed,
        n_blocks=facts.n_blocks,
        budget=len(removed),
        removed=tuple(sorted(removed)),
        kept=tuple(i for i in range(facts.n_blocks) if i not in removed),
        dense=session.reading(DENSE),
        pruned=session.reading(removed),
        difference=choice.difference,
        runner_up=_runner_up(session, choice),
        parameters=facts.parameters,
        parameters_removed=choice.parameters_removed,
        work=replace(
            spent,
            asked=choice.cost.asked,
            block_runs_alone=len(plan.parts) * choice.cost.block_runs_unshared,
            seconds=round(spent.seconds, 3),
        ),
        versions=versions(),
        run=folder,
        begins_with=session.begins_with,
        tokenizer=tokenizer_digest(plan.checkpoint),
        dtype=dtype_name(dtype),
        parameter_bytes=dtype.itemsize,
        smaller={str(len(s)): tuple(sorted(s)) for s in choice.driver.best_smaller()},
        samples=session.n_samples,
    )


def _runner_up(session: Session, choice: Choice) -> RunnerUp | None:
    subset = choice.runner_up
    if subset is None:
        return None
    return RunnerUp(tuple(sorted(subset)), session.difference(subset, choice.removed))


def second(held_out: HeldOut) -> RunnerUp | None:
    """Return the finalist behind the winner, compared on the held-out samples."""
    others = held_out.finalists[1:]
    return RunnerUp(others[0].removed, others[0].behind) if others else None
