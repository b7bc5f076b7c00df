"""A pruned model beside the dense one, with the standard errors of their differences."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from prunekit.core.measurement import Measurement
from prunekit.engine.statistics import ratio_difference_error
from prunekit.engine.stored import finite
from prunekit.hf.tokens import perplexity
from prunekit.plugins.commands.evaluate.readings import Evaluation, PerplexityReading, TaskReading

SCHEMA = 1
MEAN = "mean"
"""As a metric: the mean over tasks."""
R = TypeVar("R", PerplexityReading, TaskReading)


@dataclass(frozen=True)
class Row:
    """One number of both models, or of one; None where it is not finite."""

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
    """the protocol, or what lm-eval said of the task"""

    @property
    def value(self) -> float | None:
        """Of the model in question: the pruned one, or the only one there is."""
        return self.pruned if "pruned" in self.of else self.dense


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found."""

    model: str
    removed: tuple[int, ...]
    perplexities: Mapping[str, Row]
    """by protocol"""
    tasks: Mapping[str, Row]
    """by task"""
    fingerprint: Mapping[str, str]
    """weights, dtype, device and all else about model and machine that changes a number"""
    versions: Mapping[str, str]
    remark: str = ""
    """why there is nothing to compare with, if so"""
    schema: int = field(default=SCHEMA)

    def mean_accuracy(self) -> Row | None:
        """The mean over the tasks, as if their items were independent; None without tasks."""
        return _mean([row for row in self.tasks.values() if row.higher_is_better])

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"


def perplexity_rows(dense: Evaluation | None, pruned: Evaluation | None) -> dict[str, Row]:
    """By protocol, of both or of the one that there is."""
    pairs = _pairs(dense.perplexities if dense else {}, pruned.perplexities if pruned else {})
    return {name: _perplexity(*readings) for name, readings in pairs}


def task_rows(dense: Evaluation | None, pruned: Evaluation | None) -> dict[str, Row]:
    """By task, of both or of the one that there is."""
    pairs = _pairs(dense.tasks if dense else {}, pruned.tasks if pruned else {})
    return {name: _task(*readings) for name, readings in pairs}


def _pairs(
    dense: Mapping[str, R], pruned: Mapping[str, R]
) -> Iterator[tuple[str, tuple[R | None, R | None]]]:
    """What either has, by name."""
    for name in dict.fromkeys([*dense, *pruned]):
        yield name, (dense.get(name), pruned.get(name))


def _perplexity(dense: PerplexityReading | None, pruned: PerplexityReading | None) -> Row:
    reading = pruned or dense
    assert reading is not None
    error = None
    if dense and pruned and dense.record["digest"] == pruned.record["digest"]:
        error = ratio_difference_error(pruned.measurement, dense.measurement, perplexity)
    values = {who: finite(r.perplexity) for who, r in (("dense", dense), ("pruned", pruned)) if r}
    return _row(reading.name, "perplexity", values, error, False, reading.record)


def _task(dense: TaskReading | None, pruned: TaskReading | None) -> Row:
    reading = pruned or dense
    assert reading is not None
    error = None
    if dense and pruned and len(dense.items) == len(pruned.items):
        error = ratio_difference_error(_mean_of(pruned), _mean_of(dense))
    both = {who: r for who, r in (("dense", dense), ("pruned", pruned)) if r}
    values = {who: r.value for who, r in both.items()}
    record = {**reading.record, "metrics": {who: r.record["metrics"] for who, r in both.items()}}
    return _row(reading.name, reading.metric, values, error, reading.higher_is_better, record)


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
    error = None if error is None else finite(error)
    of = tuple(values)
    return Row(name, metric, dense, pruned, gap, error, higher_is_better, of, record)


def _mean(rows: list[Row]) -> Row | None:
    if not rows:
        return None
    n = len(rows)
    of = [who for who in ("dense", "pruned") if all(who in row.of for row in rows)]
    values = {who: _mean_value([getattr(row, who) for row in rows]) for who in of}
    errors = [row.standard_error for row in rows]
    error = None
    if None not in errors:
        error = math.sqrt(math.fsum(x * x for x in errors if x is not None)) / n
    return _row(f"mean of {n} tasks", MEAN, values, error, True, {})


def _mean_value(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def _mean_of(reading: TaskReading) -> Measurement:
    return Measurement(reading.items, (1.0,) * len(reading.items))
