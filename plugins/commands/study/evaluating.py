"""Evaluate the distinct choices of a study, and the dense models, on data that no search saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import StorageError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import DENSE, Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.study_folder import (
    CellResult,
    StudyFolder,
    VariantEvaluation,
)
from prunekit.hf.checkpoint import Checkpoint
from prunekit.plugins.commands.evaluate.config import EvalConfig
from prunekit.plugins.commands.evaluate.evaluator import Evaluator
from prunekit.plugins.commands.evaluate.scores import Evaluation
from prunekit.plugins.commands.study.eval_section import identity, words_of
from prunekit.plugins.commands.study.origin import check_origin, threads_of_first_run
from prunekit.plugins.commands.study.tasks import (
    Effort,
    LoadedModel,
    OnProgress,
    Unevaluated,
    reason,
)

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group

AT_ONCE = 8
"""Variants that share the blocks of their perplexities, and that a kill can cost."""


@dataclass(frozen=True)
class EvaluationTask:
    """Some variants of one model that have no evaluation yet."""

    model: str
    spec: Spec
    checkpoint: Checkpoint
    wanted: EvalConfig
    variants: tuple[Subset, ...]
    folder: Path
    workdir: Path

    @property
    def title(self) -> str:
        """The model."""
        return f"evaluating {self.model}"

    def run(self, loaded: LoadedModel, on_progress: OnProgress) -> Effort:
        """Evaluate them, a few at a time; an error is reported and stops this model alone."""
        try:
            with threads_of_first_run(self.folder) as settle:
                adapter = loaded.load(self.spec, self.workdir, load())
                settle(adapter.facts.fingerprint)
                self._evaluate(self._evaluator(adapter), on_progress)
        except StorageError:
            raise
        except Exception as error:
            return self.abandon(reason(error))
        return Effort()

    def _evaluate(self, evaluator: Evaluator, on_progress: OnProgress) -> None:
        for start in range(0, len(self.variants), AT_ONCE):
            some = self.variants[start : start + AT_ONCE]
            for evaluation in evaluator.evaluate_all(some):
                self._keep(evaluation)
            on_progress(float(start + len(some)))

    def abandon(self, reason: str) -> Effort:
        """Return which were not evaluated."""
        missing = unevaluated(StudyFolder(self.folder), self.model, self.variants, self.wanted)
        return Effort(
            unevaluated=tuple(Unevaluated(self.model, tuple(sorted(s)), reason) for s in missing)
        )

    def _evaluator(self, adapter: ModelAdapter) -> Evaluator:
        check_origin(self.folder, self.model, adapter.facts, self.spec.tokens_per_forward)
        return Evaluator(
            adapter,
            self.checkpoint,
            self.wanted,
            store=self.workdir / "evaluations",
            tokens_per_forward=self.spec.tokens_per_forward,
        )

    def _keep(self, evaluation: Evaluation) -> None:
        accuracies = {n: t for n, t in evaluation.tasks.items() if t.higher_is_better}
        StudyFolder(self.folder).write_evaluation(
            VariantEvaluation(
                model=self.model,
                removed=evaluation.removed,
                perplexities={n: p.perplexity for n, p in evaluation.perplexities.items()},
                accuracies={name: task.value for name, task in accuracies.items()},
                standard_errors={name: task.standard_error for name, task in accuracies.items()},
                details=_details(evaluation, self.wanted),
            )
        )


def evaluation_tasks(
    groups: Sequence[Group], wanted: EvalConfig, folder: Path, workdir: Path, jobs: int
) -> list[EvaluationTask]:
    """Divide the dense model and every distinct choice of each model among the jobs.

    The winners on held-out samples are choices, too.
    """
    tasks = []
    for model in dict.fromkeys(group.model for group in groups):
        of_model = [group for group in groups if group.model == model]
        missing = unevaluated(
            StudyFolder(folder), model, _choices(of_model, StudyFolder(folder)), wanted
        )
        plan = of_model[0].plan
        if missing and plan:
            size = math.ceil(len(missing) / jobs)  # neighbours stay together: they share blocks
            tasks += [
                EvaluationTask(
                    model,
                    plan.spec,
                    plan.checkpoint,
                    wanted,
                    tuple(missing[start : start + size]),
                    folder,
                    workdir,
                )
                for start in range(0, len(missing), size)
            ]
    return tasks


def unevaluated(
    folder: StudyFolder, model: str, variants: Sequence[Subset], wanted: EvalConfig
) -> list[Subset]:
    """Return the variants that were not evaluated with these settings."""
    evaluations = {subset: folder.evaluation(model, subset) for subset in variants}
    asked = identity(words_of(wanted))
    return [s for s, e in evaluations.items() if e is None or e.details.get("wanted") != asked]


def _choices(groups: Sequence[Group], folder: StudyFolder) -> list[Subset]:
    """Return the dense model and the choices, ordered so that neighbours share blocks."""
    outcomes = [folder.cell(cell) for group in groups for cell in group.cells]
    chosen = {s for o in outcomes if isinstance(o, CellResult) for s in o.choices}
    return sorted(chosen | {DENSE}, key=sorted) if chosen else []


def _details(evaluation: Evaluation, wanted: EvalConfig) -> dict[str, Any]:
    return {
        "wanted": identity(words_of(wanted)),
        "perplexities": {
            name: {"loss": reading.loss, **reading.record}
            for name, reading in evaluation.perplexities.items()
        },
        "tasks": {
            name: {"metric": t.metric, "higher_is_better": t.higher_is_better, **t.record}
            for name, t in evaluation.tasks.items()
        },
    }
