"""Compare a pruned model with the dense one: differences with their errors, and bounds on them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from prunekit.core.measurement import Measurement, mean_loss
from prunekit.engine.paired import LEVEL, discordant, holm, mcnemar, normal_p, paired_interval
from prunekit.engine.reading import Difference
from prunekit.engine.statistics import difference_error, ratio_difference_error
from prunekit.engine.stored import finite
from prunekit.engine.summary import Summarised, Summary, plain, with_error, without
from prunekit.engine.verdict import LogRatio, Verdict, judge
from prunekit.hf.tokens import perplexity
from prunekit.plugins.commands.evaluate.scores import Evaluation, PerplexityScore, TaskScore

SCHEMA = 1
MEAN = "mean"
"""The metric of the mean over tasks, and the name of its bound."""
Score = TypeVar("Score", PerplexityScore, TaskScore)


@dataclass(frozen=True)
class Row:
    """One number of both models, or of one; None if it is not finite."""

    name: str
    metric: str
    dense: float | None
    pruned: float | None
    difference: float | None
    """pruned - dense"""
    standard_error: float | None
    """of the difference, over windows or items, which are the same for both"""
    higher_is_better: bool
    of: tuple[str, ...]
    """the models that were evaluated: `dense`, `pruned` or both"""
    record: Mapping[str, Any]
    """the protocol, or lm-eval's record of the task"""
    p: float | None = field(default=None, kw_only=True)
    """of no difference, by itself: McNemar's exact test of right and wrong items, else normal"""
    interval: tuple[float, ...] | None = field(default=None, kw_only=True)
    """from where to where the difference reaches at 95 %, by a paired bootstrap"""
    log_ratio: LogRatio | None = field(default=None, kw_only=True)
    """of the perplexities, over the same windows; None for tasks, and in older files"""

    @property
    def values(self) -> dict[str, float | None]:
        """Return the values of the models, by `dense` and `pruned`."""
        return {"dense": self.dense, "pruned": self.pruned}

    @property
    def value(self) -> float | None:
        """Return the value of the pruned model, or of the only one evaluated."""
        return self.pruned if "pruned" in self.of else self.dense

    def verdict(self, base: str = "dense model") -> Verdict | None:
        """Return what the perplexity says beside that of `base`; None if they do not compare."""
        return judge(self.log_ratio, base=base) if self.log_ratio else None


@dataclass(frozen=True)
class Continuation:
    """What the models write after a prompt; None for one that was not asked."""

    prompt: str
    rendered: str
    """what the model read, with the chat template if that was used"""
    dense: str | None
    pruned: str | None


@dataclass(frozen=True, repr=False)
class EvaluationResult(Summarised):
    """The result of an evaluation."""

    model: str
    removed: tuple[int, ...]
    perplexities: Mapping[str, Row]
    """by protocol"""
    tasks: Mapping[str, Row]
    """by task"""
    fingerprint: Mapping[str, str]
    """everything about model and machine that changes a number: weights, dtype, device, ..."""
    versions: Mapping[str, str]
    remark: str = ""
    """why there is nothing to compare with, or what was removed before from what is"""
    baseline: str = ""
    """the model in place of the dense one, if the user named it"""
    continuations: tuple[Continuation, ...] = ()
    """what both models write after each prompt, if there are any"""
    name: str = ""
    """of the checkpoint's folder, or `pruned`"""
    afterwards: str = ""
    """what was done after the removal: repaired, healed"""
    also: tuple[EvaluationResult, ...] = ()
    """other checkpoints under the same protocols and on the same tasks"""
    schema: int = SCHEMA

    def summary(self) -> Summary:
        """Return each score of the dense and of the pruned model."""
        facts = {f"{row.metric} {row.name}": _scores(row) for row in self._all_rows()}
        return Summary(without(self.model, self.removed), self.removed, facts=facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each perplexity and each task."""
        return [plain(row, "record") for row in self._all_rows()]

    def _all_rows(self) -> list[Row]:
        return [*self.perplexities.values(), *self.tasks.values()]

    def mean_accuracy(self) -> Row | None:
        """Average the tasks as if their items were independent; None without tasks."""
        return _mean([row for row in self.tasks.values() if row.higher_is_better])

    @property
    def verdicts(self) -> dict[str, Verdict | None]:
        """What the perplexities say, by protocol."""
        base = "baseline" if self.baseline else "dense model"
        return {name: row.verdict(base) for name, row in self.perplexities.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, with the verdict on each perplexity."""
        row = asdict(self)
        for name, verdict in self.verdicts.items():
            row["perplexities"][name]["verdict"] = verdict and asdict(verdict)
        return row

    def to_json(self) -> str:
        """Return JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"


def perplexity_rows(models: Mapping[str, Evaluation]) -> dict[str, Row]:
    """Compare perplexities; `models` has `dense`, `pruned`, or both in this order."""
    scores = _by_name({who: evaluation.perplexities for who, evaluation in models.items()})
    return {name: _perplexity(of_name) for name, of_name in scores.items()}


def task_rows(models: Mapping[str, Evaluation]) -> dict[str, Row]:
    """Compare scores on tasks; `models` has `dense`, `pruned`, or both in this order."""
    scores = _by_name({who: evaluation.tasks for who, evaluation in models.items()})
    return {name: _task(of_name) for name, of_name in scores.items()}


def _by_name(models: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, Score]]:
    """Turn scores of models by name into scores of names by model."""
    names = dict.fromkeys(name for scores in models.values() for name in scores)
    return {
        name: {who: scores[name] for who, scores in models.items() if name in scores}
        for name in names
    }


def cannot_be_told_apart(rows: Sequence[Row]) -> list[Row]:
    """Select the rows whose difference could be chance at 5 %, by Holm's correction for all."""
    tested = [row for row in rows if row.p is not None]
    p_values = holm([row.p for row in tested if row.p is not None])
    return [row for row, p in zip(tested, p_values, strict=True) if p >= LEVEL]


def _perplexity(scores: Mapping[str, PerplexityScore]) -> Row:
    import numpy as np

    error, interval, ratio, last = None, None, None, list(scores.values())[-1]
    if len(scores) == 2 and len({score.record["digest"] for score in scores.values()}) == 1:
        pruned, dense = scores["pruned"].measurement, scores["dense"].measurement
        error = ratio_difference_error(pruned, dense, perplexity)
        interval = paired_interval(pruned, dense, np.exp)
        ratio = _log_ratio(scores["pruned"], scores["dense"])
    values = {who: finite(score.perplexity) for who, score in scores.items()}
    row = _row(last.name, "perplexity", values, error, False, last.record)
    return replace(row, interval=interval, log_ratio=ratio)


def _log_ratio(pruned: PerplexityScore, dense: PerplexityScore) -> LogRatio | None:
    if not math.isfinite(dense.loss):
        return None
    gap, windows = finite(pruned.loss - dense.loss), len(pruned.measurement.sums)
    error = difference_error(pruned.measurement, dense.measurement, mean_loss)
    return LogRatio(gap, finite(error), windows)


def _task(scores: Mapping[str, TaskScore]) -> Row:
    error, interval, counts, last = None, None, None, list(scores.values())[-1]
    if len(scores) == 2 and len({len(score.items) for score in scores.values()}) == 1:
        pruned, dense = _items(scores["pruned"]), _items(scores["dense"])
        error, interval = ratio_difference_error(pruned, dense), paired_interval(pruned, dense)
        counts = discordant(pruned.sums, dense.sums) if pruned.sums else None
    metrics = {who: score.record["metrics"] for who, score in scores.items()}
    values = {who: score.value for who, score in scores.items()}
    record = {**last.record, "metrics": metrics}
    row = _row(last.name, last.metric, values, error, last.higher_is_better, record)
    return replace(row, interval=interval, p=mcnemar(*counts) if counts else row.p)


def _items(score: TaskScore) -> Measurement:
    return Measurement(score.items, (1.0,) * len(score.items))


def _row(
    name: str,
    metric: str,
    values: Mapping[str, float | None],
    error: float | None,
    higher_is_better: bool,
    record: Mapping[str, Any],
) -> Row:
    dense, pruned = values.get("dense"), values.get("pruned")
    gap = None if dense is None or pruned is None else pruned - dense
    of, error = tuple(values), finite(error)
    p = None if gap is None or error is None else normal_p(gap, error)
    return Row(name, metric, dense, pruned, gap, error, higher_is_better, of, record, p=p)


def _scores(row: Row) -> str:
    values = [f"{row.values[who]:.4g} {who}" for who in row.of if row.values[who] is not None]
    difference = Difference(row.difference, row.standard_error)
    change = [] if row.difference is None else [with_error(difference)]
    return ", ".join([*values, *change]) or "not finite"


def _mean(rows: Sequence[Row]) -> Row | None:
    if not rows:
        return None
    n = len(rows)
    of = [who for who in ("dense", "pruned") if all(who in row.of for row in rows)]
    values = {who: _average([row.values[who] for row in rows]) for who in of}
    errors = [row.standard_error for row in rows if row.standard_error is not None]
    error = math.sqrt(math.fsum(x * x for x in errors)) / n if len(errors) == n else None
    return _row(f"mean of {n} tasks", MEAN, values, error, True, {})


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None
