"""What was read of one variant: perplexities and accuracies, with the values of every sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prunekit.core.measurement import Measurement, loss_of, mean_loss
from prunekit.hf.tokens import perplexity

PREFERRED = ("acc_norm", "acc")
"""Which metric of a task is its accuracy: the first of these that it has, else its own first."""


@dataclass(frozen=True)
class PerplexityReading:
    """The perplexity of one variant under one protocol."""

    name: str
    measurement: Measurement
    """nats and predicted tokens of every window"""
    record: Mapping[str, Any]
    """the protocol, as `windows.Windows` has it"""

    @property
    def loss(self) -> float:
        """Nats per token; +inf where it is not finite."""
        return loss_of(self.measurement, mean_loss)

    @property
    def perplexity(self) -> float:
        """The perplexity; +inf where it is not finite."""
        return perplexity(self.loss)


@dataclass(frozen=True)
class TaskReading:
    """What one variant scored on one task of lm-eval."""

    name: str
    metric: str
    value: float | None
    """of `metric`; None where it is not finite"""
    higher_is_better: bool
    items: tuple[float, ...]
    """the score of every item, in order; empty where the value is not their mean"""
    record: Mapping[str, Any]
    """every metric, number of items, task version, limit, lm-eval's version, digest of the items"""

    @property
    def standard_error(self) -> float | None:
        """Over items, as lm-eval has it for a mean; None where there are fewer than two."""
        n = len(self.items)
        if n < 2:
            return None
        centre = math.fsum(self.items) / n
        return math.sqrt(math.fsum((x - centre) ** 2 for x in self.items) / (n - 1) / n)


@dataclass(frozen=True)
class Evaluation:
    """All that was read of one variant: `removed` may be empty."""

    removed: tuple[int, ...]
    perplexities: dict[str, PerplexityReading] = field(default_factory=dict)
    """by protocol"""
    tasks: dict[str, TaskReading] = field(default_factory=dict)
    """by task"""
