"""Evaluate a pruned model beside the dense one it was made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prunekit.core.checkpoint import DEMO, find
from prunekit.core.errors import ConfigError, Interrupted, PrunekitError
from prunekit.core.files import write_text
from prunekit.core.interfaces import ModelAdapter, Spec
from prunekit.core.loading import load_adapter
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.registry import load
from prunekit.workflows.config import parse
from prunekit.workflows.evaluation.comparison import SCHEMA, EvaluationResult, rows_of
from prunekit.workflows.evaluation.evaluator import Evaluator, Wanted, preflight
from prunekit.workflows.evaluation.gate import Gate
from prunekit.workflows.evaluation.readings import Evaluation
from prunekit.workflows.evaluation.wanted import names_of
from prunekit.workflows.evaluation.watching import Watcher
from prunekit.workflows.plan import spec_of
from prunekit.workflows.provenance import FILE as PROVENANCE
from prunekit.workflows.quiet import quiet_libraries
from prunekit.workflows.runs import read_run
from prunekit.workflows.variant import as_subset
from prunekit.workflows.versions import versions

RESULT = "evaluation.json"


@dataclass(frozen=True)
class Target:
    """What is to be evaluated: one model, the same without some blocks, or a model of another."""

    spec: Spec
    removed: Subset = DENSE
    weights: str | None = None
    """those that the model must have; None takes any"""
    origin: Spec | None = None
    """the dense model that a pruned checkpoint was made of"""
    origin_weights: str | None = None
    blocks: tuple[int, ...] = ()
    """what a pruned checkpoint says was removed from it"""
    folder: Path | None = None
    """of the run, where the result is kept"""


def evaluate(
    model: str | None = None,
    *,
    run: str | Path | None = None,
    remove: Iterable[int] | None = None,
    ppl: str | Iterable[str] = (),
    tasks: str | Iterable[str] = (),
    max_ppl_ratio: float | None = None,
    min_accuracy: float | None = None,
    workdir: str | Path = "prunekit-runs",
    watcher: Watcher | None = None,
    given: Mapping[str, Any] | None = None,
    **how: Any,
) -> EvaluationResult:
    """Evaluate what a search `run` chose, `model` without `remove`, or a checkpoint as it is.

    `ppl` names protocols or files, `tasks` those of lm-eval; with neither, a demo model is
    evaluated on what comes with prunekit, and another on WikiText-2. `how` are the other fields of
    `Wanted`, as `limit=100`; `given` the settings of the model, as `{"dtype": "float32"}`.

    Raises PrunekitError: a GateMissed where a bound is missed, whose result is kept all the same.
    """
    quiet_libraries()
    gate = Gate(max_ppl_ratio, min_accuracy)
    target = target_of(model, run, remove, Path(workdir), given or {})
    result = run_evaluation(target, wanted_of(target, ppl, tasks, how), Path(workdir), watcher)
    gate.check(result)
    return result


def wanted_of(
    target: Target, ppl: str | Iterable[str], tasks: str | Iterable[str], how: Mapping[str, Any]
) -> Wanted:
    """What is to be evaluated, with defaults where nothing was named."""
    perplexities, names = (names_of(given) if given else () for given in (ppl, tasks))
    if not perplexities and not names:
        demo = (target.origin or target.spec).model.startswith(DEMO)
        perplexities, names = (("demo",), ("demo",)) if demo else (("wikitext2",), ())
    return Wanted(perplexities=perplexities, tasks=names, **how)


def target_of(
    model: str | None,
    run: str | Path | None,
    remove: Iterable[int] | None,
    workdir: Path,
    given: Mapping[str, Any],
) -> Target:
    """What the user named; ConfigError where that is two things at once."""
    if run is None:
        spec = spec_of(parse({"model": model, **given}, load()).settings)
        return Target(spec, as_subset(remove)) if remove is not None else _checkpoint(spec)
    if model is not None or remove is not None:
        raise ConfigError("a run knows its model and blocks itself; give --run or --model")
    source = read_run(Path(run), workdir)
    spec = replace(source.spec, **{k: v for k, v in given.items() if k in ("device", "dtype")})
    return Target(spec, source.removed, source.result["weights"], folder=source.folder)


def run_evaluation(
    target: Target, wanted: Wanted, workdir: Path, watcher: Watcher | None = None
) -> EvaluationResult:
    """Evaluate both models. Every reading is kept, so that a stopped evaluation goes on."""
    preflight(wanted)
    try:
        dense, pruned, remark = _both(target, wanted, workdir, watcher)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped. What was evaluated is saved in {workdir / 'evaluations'}; run the same "
            "command again to go on"
        ) from None
    perplexities, tasks = rows_of(dense, pruned)
    result = EvaluationResult(
        model=(target.origin or target.spec).model,
        removed=tuple(sorted(target.removed)) or target.blocks,
        perplexities=perplexities,
        tasks=tasks,
        versions={**versions(), "lm_eval": version("lm-eval")},
        remark=remark,
    )
    if target.folder:
        _keep(result, target.folder / RESULT)
    return result


def _both(
    target: Target, wanted: Wanted, workdir: Path, watcher: Watcher | None
) -> tuple[Evaluation | None, Evaluation | None, str]:
    """The dense model's evaluation, the pruned one's, and why there is but one."""
    adapter = load_adapter(target.spec, load())
    _check(adapter, target)
    evaluator = _evaluator(adapter, target.spec, wanted, workdir, watcher)
    if target.removed:
        dense, pruned = evaluator.evaluate_all([DENSE, target.removed])
        return dense, pruned, ""
    alone = evaluator.evaluate(DENSE)
    if target.origin is None:
        return alone, None, "nothing was removed: give --remove, --run or a pruned checkpoint"
    del adapter, evaluator  # the memory is needed for the other model
    try:
        origin = load_adapter(target.origin, load())
    except PrunekitError as error:
        return None, alone, f"the dense model cannot be had to compare with: {error}"
    if origin.facts.fingerprint["weights"] != target.origin_weights:
        return None, alone, f"{target.origin.model} is no longer the model this one was made of"
    evaluator = _evaluator(origin, target.origin, wanted, workdir, watcher)
    return evaluator.evaluate(DENSE), alone, ""


def _evaluator(
    adapter: ModelAdapter, spec: Spec, wanted: Wanted, workdir: Path, watcher: Watcher | None
) -> Evaluator:
    return Evaluator(
        adapter,
        find(spec, load()),
        wanted,
        store=workdir / "evaluations",
        tokens_per_forward=spec.tokens_per_forward,
        watcher=watcher,
    )


def _check(adapter: ModelAdapter, target: Target) -> None:
    """The blocks must be there, and the weights those that were searched."""
    n = adapter.facts.n_blocks
    if wrong := [i for i in target.removed if not 0 <= i < n]:
        raise ConfigError(f"no such block: {words(wrong)}; this model has blocks 0 to {n - 1}")
    if len(target.removed) == n:
        raise ConfigError(f"{n} of {n} blocks cannot be removed; leave at least one")
    if target.weights not in (None, adapter.facts.fingerprint["weights"]):
        raise ConfigError(
            f"{target.spec.model} is no longer the model that was searched: its weights have "
            "changed; search again, or name the blocks with --remove"
        )


def _checkpoint(spec: Spec) -> Target:
    """A model as it is; one that prunekit wrote knows what it was made of."""
    path = Path(spec.model) / PROVENANCE
    if not path.is_file():
        return Target(spec)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        name, blocks, weights = record["model"], tuple(record["removed"]), record["weights"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it to do without") from error
    origin = replace(spec, model=name, revision=None, adapter=None)
    return Target(spec, origin=origin, origin_weights=weights, blocks=blocks)


def _keep(result: EvaluationResult, path: Path) -> None:
    """Beside what was evaluated of this run before."""
    row = result.as_dict()
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before.get("schema") == SCHEMA and before.get("removed") == list(result.removed):
            for part in ("perplexities", "tasks"):
                row[part] = {**before[part], **row[part]}
    write_text(path, json.dumps(row, indent=2, allow_nan=False) + "\n")
