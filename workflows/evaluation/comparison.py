"""A pruned model beside the dense one, with the standard errors of their differences."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from prunekit.core.likelihood import perplexity
from prunekit.core.measurement import difference_error, mean_loss
from prunekit.workflows.evaluation.readings import Evaluation, PerplexityReading, TaskReading

SCHEMA = 1
R = TypeVar("R")


@dataclass(frozen=True)
class Row:
    """One number of both models; None where there is none, or it is not finite."""

    name: str
    metric: str
    dense: float | None
    pruned: float | None
    difference: float | None
    """pruned - dense"""
    standard_error: float | None
    """of the difference, over windows or items, which are the same for both"""
    record: Mapping[str, Any]
    """the protocol, or what lm-eval said of the task"""


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found."""

    model: str
    removed: tuple[int, ...]
    perplexities: Mapping[str, Row]
    """by protocol"""
    tasks: Mapping[str, Row]
    """by task"""
    versions: Mapping[str, str]
    remark: str = ""
    """why there is nothing to compare with, if so"""
    schema: int = field(default=SCHEMA)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"


def rows_of(
    dense: Evaluation | None, pruned: Evaluation | None
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Perplexities by protocol and accuracies by task, of both or of the one that there is."""
    perplexities = {
        name: _perplexity(*readings)
        for name, readings in _pairs(
            dense.perplexities if dense else {}, pruned.perplexities if pruned else {}
        )
    }
    tasks = {
        name: _task(*readings)
        for name, readings in _pairs(dense.tasks if dense else {}, pruned.tasks if pruned else {})
    }
    return perplexities, tasks


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
    if dense and pruned:
        error = difference_error(pruned.measurement, dense.measurement, _perplexity_of)
    values = [_finite(r.perplexity) if r else None for r in (dense, pruned)]
    return _row(reading.name, "perplexity", values, error, reading.record)


def _task(dense: TaskReading | None, pruned: TaskReading | None) -> Row:
    reading = pruned or dense
    assert reading is not None
    error = _paired_error(pruned.items, dense.items) if dense and pruned else None
    values = [r.value if r else None for r in (dense, pruned)]
    return _row(reading.name, reading.metric, values, error, reading.record)


def _row(
    name: str,
    metric: str,
    values: Sequence[float | None],
    error: float | None,
    record: Mapping[str, Any],
) -> Row:
    dense, pruned = values
    gap = None if dense is None or pruned is None else pruned - dense
    return Row(name, metric, dense, pruned, gap, error, record)


def _perplexity_of(sums: Sequence[float], weights: Sequence[float]) -> float:
    return perplexity(mean_loss(sums, weights))


def _paired_error(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Standard error of the difference of two means over the same items."""
    if len(a) < 2 or len(a) != len(b):
        return None
    gaps = [x - y for x, y in zip(a, b, strict=True)]
    return statistics.stdev(gaps) / math.sqrt(len(gaps))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
