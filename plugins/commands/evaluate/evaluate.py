"""Evaluate a pruned model beside the dense one it was made from."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.cli.flags import flag_name
from prunekit.core.errors import ConfigError, Interrupted, Remark, UnfitModel
from prunekit.core.problem import DENSE, Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.arguments import takes
from prunekit.engine.config import Settings
from prunekit.engine.known import forget_proofs, recall, remember
from prunekit.engine.progress import Progress
from prunekit.engine.provenance import name_of
from prunekit.engine.quiet import quietly
from prunekit.engine.variant import MEASURED_SETTINGS
from prunekit.engine.versions import versions
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter
from prunekit.hf.roundtrip import dense_and_pruned
from prunekit.plugins.commands.evaluate.comparison import (
    EvaluationResult,
    perplexity_rows,
    task_rows,
)
from prunekit.plugins.commands.evaluate.config import (
    DEMO,
    NEW_TOKENS,
    EvalConfig,
    EvalOptions,
    names_of,
    take_options,
)
from prunekit.plugins.commands.evaluate.continuations import Continuations
from prunekit.plugins.commands.evaluate.evaluator import Evaluator
from prunekit.plugins.commands.evaluate.gate import Gate
from prunekit.plugins.commands.evaluate.prompts import Prompts
from prunekit.plugins.commands.evaluate.scores import Evaluation
from prunekit.plugins.commands.evaluate.store import add_to_record, read_record
from prunekit.plugins.commands.evaluate.target import EvalTarget, find_target
from prunekit.plugins.commands.evaluate.tasks import load_tasks, preflight


@takes(EvalOptions, Settings, settings=MEASURED_SETTINGS)
@quietly()
def evaluate(
    model: str | None = None,
    *,
    run: str | Path | None = None,
    budget: int | None = None,
    remove: Iterable[int] | None = None,
    baseline: str | None = None,
    also: str | Iterable[str] = (),
    ppl: str | Iterable[str] = (),
    tasks: str | Iterable[str] = (),
    max_ppl_ratio: float | None = None,
    min_accuracy: float | Mapping[str, float | str] | None = None,
    prompts: str | Path | None = None,
    new_tokens: int = NEW_TOKENS,
    plain_prompts: bool = False,
    workdir: str | Path = "prunekit-runs",
    prove: bool = False,
    progress: Reporting = False,
    **given: Any,
) -> EvaluationResult:
    """Evaluate the result of a search `run`, `model` without `remove`, or a checkpoint.

    A smaller `budget` than that of the run takes the best subset of that size that it measured.
    A `baseline` is a model to compare a changed `model` with, such as a healed one; `also` names
    other checkpoints that were made from the same dense model, as `"pruned,repaired"`.
    `ppl` names protocols or files, `tasks` those of lm-eval; with neither, nor `prompts`, a demo
    model is evaluated on the embedded data, and any other on WikiText-2. `prompts` is a file, or
    `demo`, that both models continue greedily by `new_tokens` tokens; they are rendered by the
    tokenizer's chat template, if it has one, unless they are `plain_prompts`. `given` may hold the
    fields of `EvalOptions`, as `limit=100`, and settings of the model, as `dtype="float32"`.
    `min_accuracy` is a bound on the mean over tasks, or bounds by task. With `prove`, proofs on
    loading that `workdir` remembers do not count.

    Raises a PrunekitError if something cannot be evaluated, before any work is done; a GateMissed,
    which holds the result, if a bound is missed. Every score is kept as soon as it is complete.
    """
    gate = Gate(max_ppl_ratio, min_accuracy)
    how = take_options(given)
    target = find_target(model, run, remove, workdir, given, baseline, budget)
    with named_by_flags():
        asked = None if prompts is None else Prompts(str(prompts), new_tokens, plain_prompts)
        config = config_of(target, ppl, tasks, how, defaults=asked is None)
        _check(target, config, gate, asked)
    others = _others(also, target, Path(workdir), given)
    if prove:
        forget_proofs(Path(workdir))
    with reporting(progress) as shown:
        done = [
            _carried_out(_Evaluation(each, config, asked, Path(workdir).absolute(), shown))
            for each in (target, *others)
        ]
    result = dataclasses.replace(done[0], also=tuple(done[1:]))
    gate.check(result)
    return result


def _others(
    also: str | Iterable[str], target: EvalTarget, workdir: Path, given: Mapping[str, Any]
) -> list[EvalTarget]:
    """Find other checkpoints that were made from the same dense model.

    Raises ConfigError if there is none to compare with.
    """
    names = names_of(also) if also else ()
    if names and not target.is_compared:
        raise ConfigError(f"--also {','.join(names)}: {target.remark}")
    dense = (target.origin or target.spec).model
    shared = {name: value for name, value in given.items() if name != "revision"}
    return [find_target(name, None, None, workdir, shared, baseline=dense) for name in names]


def _carried_out(work: _Evaluation) -> EvaluationResult:
    """Evaluate, and keep what was measured if that is interrupted."""
    try:
        work.run()
    except KeyboardInterrupt:
        work.record()
        raise Interrupted(work.farewell()) from None
    work.record()
    return work.result()


@contextmanager
def named_by_flags() -> Iterator[None]:
    """Put the flag of a setting before an error about it."""
    try:
        yield
    except ConfigError as error:
        if not error.key:
            raise
        raise ConfigError(f"{flag_name(*error.key)}: {error}", error.key) from error


def config_of(
    target: EvalTarget,
    ppl: str | Iterable[str],
    tasks: str | Iterable[str],
    how: Mapping[str, Any],
    defaults: bool = True,
) -> EvalConfig:
    """Return the configuration, with the defaults of the target, if wanted and nothing is named."""
    perplexities, names = (names_of(given) if given else () for given in (ppl, tasks))
    if defaults and not perplexities and not names:
        perplexities, names = ((DEMO,), (DEMO,)) if target.is_demo else (("wikitext2",), ())
    return EvalConfig(perplexities=perplexities, tasks=names, **how)


def _check(target: EvalTarget, config: EvalConfig, gate: Gate, prompts: Prompts | None) -> None:
    """Raise ConfigError for missing data, a bound on something else, or a broken record."""
    if prompts:
        prompts.check()
    preflight(config)
    names = [task.name for task in load_tasks(config)]
    gate.check_names(config.perplexities, names, target.is_compared)
    if target.run:
        read_record(target.run.folder)


class _Evaluation:
    """Evaluate the models of a target, and keep the scores so far."""

    def __init__(
        self,
        target: EvalTarget,
        config: EvalConfig,
        prompts: Prompts | None,
        workdir: Path,
        progress: Progress,
    ) -> None:
        self.target = target
        self.config = config
        self.workdir = workdir
        self.store = workdir / "evaluations"
        self.progress = progress
        self.continuations = Continuations(prompts, progress) if prompts else None
        self.models: dict[str, Evaluation] = {}
        """by `dense` and `pruned`, in this order"""
        self.fingerprint: Mapping[str, str] = {}

    def run(self) -> None:
        target = self.target
        who = "pruned" if target.gone or target.origin else "dense"
        evaluator = self._open(target.spec)
        self.fingerprint = evaluator.adapter.facts.fingerprint
        self.models[who] = evaluator.evaluation(DENSE)
        if target.removed:
            self.models["pruned"] = evaluator.evaluation(target.removed)
            evaluator.evaluate_all([DENSE, target.removed])
            self._continue_without(target.removed, evaluator)
            return
        evaluator.evaluate(DENSE)
        self._continue(who, evaluator)
        if target.origin is not None:
            del evaluator  # the other model needs its memory
            origin = dataclasses.replace(target.origin, dtype=self.fingerprint["dtype"])
            evaluator = self._open(origin)
            self.models = {"dense": evaluator.evaluation(DENSE), **self.models}
            evaluator.evaluate(DENSE)
            self._continue("dense", evaluator)

    def _continue(self, who: str, evaluator: Evaluator) -> None:
        """Let a model that is evaluated as it is continue the prompts, if there are any."""
        if self.continuations:
            with evaluator.adapter.bypassing(DENSE) as model:
                self.continuations.write(who, model, evaluator.tokenizer)

    def _continue_without(self, removed: Subset, evaluator: Evaluator) -> None:
        """Let both models continue the prompts, rebuilt, as bypassed blocks cannot keep a cache.

        A model that no checkpoint can hold continues nothing, with a Remark.
        """
        if not self.continuations:
            return
        try:
            models = dense_and_pruned(evaluator.adapter, removed)
        except UnfitModel as error:
            line = f"no prompt was continued, as this model cannot be built: {error}"
            warnings.warn(line, Remark, stacklevel=2)
            return
        for who, model in zip(("dense", "pruned"), models, strict=True):
            self.continuations.write(who, model, evaluator.tokenizer)

    def result(self) -> EvaluationResult:
        """Compare what is evaluated so far."""
        target = self.target
        dense = target.spec if target.baseline else target.origin or target.spec
        return EvaluationResult(
            model=dense.model,
            removed=tuple(sorted(target.removed)) or target.gone,
            perplexities=perplexity_rows(self.models),
            tasks=task_rows(self.models),
            fingerprint=self.fingerprint,
            versions={**versions(), "lm_eval": version("lm-eval")},
            remark=target.remark,
            baseline=target.baseline,
            continuations=self.continuations.side_by_side() if self.continuations else (),
            name=name_of(target.spec.model) if target.origin else "pruned",
            afterwards=target.afterwards,
        )

    def record(self) -> None:
        """Add what is evaluated so far to the record of the run."""
        result = self.result()
        if self.target.run and (result.perplexities or result.tasks):
            add_to_record(result, self.target.run.folder)

    def farewell(self) -> str:
        """List the scores measured before an interruption, and explain how to resume."""
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
        self.progress.begin("loading the model")
        registry = load()
        spec = recall(spec, self.workdir)
        adapter = load_adapter(spec, registry)
        if spec == self.target.spec:
            self.target.check(adapter.facts)
        checkpoint = find(spec, registry)
        remember(adapter.facts, checkpoint, self.workdir)  # if refused, nothing is left
        evaluator = Evaluator(
            adapter,
            checkpoint,
            self.config,
            store=self.store,
            tokens_per_forward=spec.tokens_per_forward,
            progress=self.progress,
        )
        if self.continuations:
            self.continuations.read_by(evaluator.tokenizer, checkpoint.config())
        return evaluator
