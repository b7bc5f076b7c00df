"""What an evaluation found of one variant, sample by sample, so that differences have errors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prunekit.core.measurement import Measurement, difference_error, loss_of, mean_loss
from prunekit.core.problem import Subset


@dataclass(frozen=True)
class PerplexityReading:
    """Summed negative log-likelihood and predicted tokens of every sequence."""

    measurement: Measurement
    protocol: Mapping[str, Any]

    @property
    def loss(self) -> float:
        """Nats per token; what is not finite is +inf."""
        return loss_of(self.measurement, mean_loss)

    @property
    def perplexity(self) -> float:
        """Its exponential."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    def error_of_ratio(self, dense: PerplexityReading) -> float | None:
        """Standard error of the logarithm of pruned over dense perplexity, over sequences."""
        return difference_error(self.measurement, dense.measurement, mean_loss)


@dataclass(frozen=True)
class TaskReading:
    """What lm-eval found: one number of each item, their mean, and all of its own metrics."""

    metric: str
    """the one that `value` is: `acc_norm` where the task has it, else `acc`, else its first"""
    value: float
    standard_error: float | None
    metrics: Mapping[str, float]
    items: tuple[float, ...] = ()
    """of every item in the task's order; empty for groups, and where the metric is no mean"""
    details: Mapping[str, Any] = field(default_factory=dict)

    def error_of_difference(self, dense: TaskReading) -> float | None:
        """Standard error of the difference of two means over the same items."""
        if len(self.items) < 2 or len(self.items) != len(dense.items):
            return None
        gaps = [a - b for a, b in zip(self.items, dense.items, strict=True)]
        return statistics.stdev(gaps) / math.sqrt(len(gaps))


@dataclass(frozen=True)
class Evaluation:
    """One variant, evaluated."""

    removed: Subset
    perplexities: Mapping[str, PerplexityReading]
    tasks: Mapping[str, TaskReading]
