"""Evaluate a pruned model beside the dense one it was made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prunekit.core.errors import Interrupted
from prunekit.core.interfaces import Spec
from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.engine.quiet import quietly
from prunekit.engine.versions import versions
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter
from prunekit.plugins.commands.evaluate.comparison import (
    EvaluationResult,
    perplexity_rows,
    task_rows,
)
from prunekit.plugins.commands.evaluate.evaluator import Evaluator, Wanted, preflight
from prunekit.plugins.commands.evaluate.gate import Gate
from prunekit.plugins.commands.evaluate.readings import Evaluation
from prunekit.plugins.commands.evaluate.record import keep, read_record
from prunekit.plugins.commands.evaluate.target import Target, target_of
from prunekit.plugins.commands.evaluate.tasks import load_tasks
from prunekit.plugins.commands.evaluate.wanted import DEMO, names_of
from prunekit.plugins.commands.evaluate.watching import Nobody, Watcher


@quietly()
def evaluate(
    model: str | None = None,
    *,
    run: str | Path | None = None,
    remove: Iterable[int] | None = None,
    ppl: str | Iterable[str] = (),
    tasks: str | Iterable[str] = (),
    max_ppl_ratio: float | None = None,
    min_accuracy: float | Mapping[str, float | str] | None = None,
    workdir: str | Path = "prunekit-runs",
    watcher: Watcher | None = None,
    **given: Any,
) -> EvaluationResult:
    """Evaluate what a search `run` chose, `model` without `remove`, or a checkpoint as it is.

    `ppl` names protocols or files, `tasks` those of lm-eval; with neither, a demo model is
    evaluated on what comes with prunekit, and another on WikiText-2. `given` may hold the other
    fields of `Wanted`, as `limit=100`, and settings of the model, as `dtype="float32"`.
    `min_accuracy` is a bound on the mean over tasks, or bounds by task.

    Raises PrunekitError: a GateMissed where a bound is missed, which holds the result, and what
    was evaluated is kept all the same.
    """
    gate = Gate.of(max_ppl_ratio, min_accuracy)
    fields = {f.name for f in dataclasses.fields(Wanted)} - {"perplexities", "tasks"}
    how = {k: given.pop(k) for k in list(given) if k in fields}
    target = target_of(model, run, remove, workdir, given)
    wanted = wanted_of(target, ppl, tasks, how)
    result = run_evaluation(target, wanted, gate, Path(workdir), watcher)
    gate.check(result)
    return result


def wanted_of(
    target: Target, ppl: str | Iterable[str], tasks: str | Iterable[str], how: Mapping[str, Any]
) -> Wanted:
    """What is to be evaluated, with defaults where nothing was named."""
    perplexities, names = (names_of(given) if given else () for given in (ppl, tasks))
    if not perplexities and not names:
        perplexities, names = ((DEMO,), (DEMO,)) if target.is_demo else (("wikitext2",), ())
    return Wanted(perplexities=perplexities, tasks=names, **how)


def run_evaluation(
    target: Target,
    wanted: Wanted,
    gate: Gate,
    workdir: Path,
    watcher: Watcher | None = None,
) -> EvaluationResult:
    """Evaluate both models. Every reading is kept, so that a stopped evaluation goes on.

    What cannot be had, bounds of the gate on what is not wanted, and a broken record of the run are
    told before any time is spent; the gate itself is for the caller to check.
    """
    preflight(wanted)
    names = [task.name for task in load_tasks(wanted)]
    gate.check_wanted(wanted.perplexities, names, target.is_compared)
    if target.run:
        read_record(target.run.folder)
    work = _Evaluation(target, wanted, workdir, watcher or Nobody())
    try:
        work.run()
    except KeyboardInterrupt:
        work.keep()
        raise Interrupted(work.farewell()) from None
    work.keep()
    return work.result()


class _Evaluation:
    """Both models of a target, one after the other where they are two, and what is known so far."""

    def __init__(self, target: Target, wanted: Wanted, workdir: Path, watcher: Watcher) -> None:
        self.target = target
        self.wanted = wanted
        self.store = workdir / "evaluations"
        self.watcher = watcher
        self.dense: Evaluation | None = None
        self.pruned: Evaluation | None = None
        self.fingerprint: Mapping[str, str] = {}

    def run(self) -> None:
        """Evaluate all that is wanted."""
        target = self.target
        evaluator = self._open(target.spec)
        self.fingerprint = evaluator.adapter.facts.fingerprint
        if target.removed:
            self.dense, self.pruned = evaluator.begin([DENSE, target.removed])
            evaluator.evaluate_all([DENSE, target.removed])
            return
        (alone,) = evaluator.begin([DENSE])
        self.dense, self.pruned = (None, alone) if target.is_pruned else (alone, None)
        evaluator.evaluate(DENSE)
        if target.origin is not None:
            del evaluator  # its memory is needed for the other model
            origin = replace(target.origin, dtype=self.fingerprint["dtype"])
            evaluator = self._open(origin)
            (self.dense,) = evaluator.begin([DENSE])
            evaluator.evaluate(DENSE)

    def result(self) -> EvaluationResult:
        """What is known so far."""
        target = self.target
        return EvaluationResult(
            model=(target.origin or target.spec).model,
            removed=tuple(sorted(target.removed)) or target.gone,
            perplexities=perplexity_rows(self.dense, self.pruned),
            tasks=task_rows(self.dense, self.pruned),
            fingerprint=self.fingerprint,
            versions={**versions(), "lm_eval": version("lm-eval")},
            remark=target.remark,
        )

    def keep(self) -> None:
        """Write what is known into the folder of the run."""
        result = self.result()
        if self.target.run and (result.perplexities or result.tasks):
            keep(result, self.target.run.folder)

    def farewell(self) -> str:
        """What was evaluated before the user stopped it, and how to go on."""
        result = self.result()
        rows = [*result.perplexities.values(), *result.tasks.values()]
        done = [f"{row.name} {row.metric} ({', '.join(row.of)})" for row in rows]
        if not done:
            return "stopped before anything was evaluated; run the same command again"
        return (
            f"stopped. Evaluated and kept in {self.store}: {', '.join(done)}; run the same command "
            "again to go on"
        )

    def _open(self, spec: Spec) -> Evaluator:
        self.watcher.stage("loading the model")
        registry = load()
        adapter = load_adapter(spec, registry)
        if spec == self.target.spec:
            self.target.check(adapter.facts)
        return Evaluator(
            adapter,
            find(spec, registry),
            self.wanted,
            store=self.store,
            tokens_per_forward=spec.tokens_per_forward,
            watcher=self.watcher,
        )
