"""Evaluate the choices of a curve on texts that no search saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.problem import DENSE, Subset
from prunekit.core.registry import load
from prunekit.engine.known import load_known
from prunekit.engine.plan import Plan
from prunekit.engine.progress import Progress
from prunekit.engine.session import Session
from prunekit.plugins.commands.curve.result import Evaluated
from prunekit.plugins.commands.curve.steps import Steps
from prunekit.plugins.commands.evaluate.comparison import Row, perplexity_rows
from prunekit.plugins.commands.evaluate.config import EvalConfig, names_of
from prunekit.plugins.commands.evaluate.evaluator import Evaluator
from prunekit.plugins.commands.evaluate.tasks import preflight


@dataclass(frozen=True)
class Evaluations:
    """The figures of choices and the dense model, by protocol, and how each text was cut."""

    figures: Mapping[Subset, Mapping[str, Evaluated]] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def evaluation_of(steps: Steps) -> EvalConfig | None:
    """Return what is to be evaluated, None if nothing is. Raises ConfigError for missing texts."""
    if not steps.evaluate:
        return None
    try:
        names = names_of(steps.evaluate)
        config = EvalConfig(perplexities=names, ppl_samples=steps.evaluate_samples)
        preflight(config)
    except ConfigError as error:
        raise ConfigError(f"evaluate: {error}", ("evaluate",)) from error
    return config


def evaluate_choices(
    plan: Plan,
    session: Session,
    choices: Sequence[Subset],
    config: EvalConfig,
    workdir: Path,
    progress: Progress,
) -> Evaluations:
    """Return the perplexities of the choices and of the dense model.

    They are those of `prunekit evaluate`, which keeps them in the same place.
    """
    registry = load()
    evaluator = Evaluator(
        session.adapter or load_known(plan.spec, workdir, registry),
        plan.checkpoint,
        config,
        store=workdir / "evaluations",
        tokens_per_forward=plan.spec.tokens_per_forward,
        progress=progress,
    )
    dense, *pruned = evaluator.evaluate_all([DENSE, *choices])
    rows = {
        subset: perplexity_rows({"dense": dense, "pruned": found})
        for subset, found in zip([DENSE, *choices], [dense, *pruned], strict=True)
    }
    figures = {s: {name: _figure(row) for name, row in of.items()} for s, of in rows.items()}
    return Evaluations(figures, {name: row.record for name, row in rows[DENSE].items()})


def _figure(row: Row) -> Evaluated:
    verdict = row.verdict()
    if verdict is None:
        return Evaluated(row.pruned, None, None, None)
    return Evaluated(row.pruned, verdict.ratio, verdict.low, verdict.high)
