"""The scores of one variant: perplexities and accuracies, with the value of every sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prunekit.core.measurement import Measurement, loss_of, mean_loss
from prunekit.hf.tokens import perplexity


@dataclass(frozen=True)
class PerplexityScore:
    """The perplexity of one variant under one protocol."""

    name: str
    measurement: Measurement
    """nats and predicted tokens of every window"""
    record: Mapping[str, Any]
    """the protocol, from `perplexity.Windows`"""

    @property
    def loss(self) -> float:
        """Return the loss in nats per token; +inf if it is not finite."""
        return loss_of(self.measurement, mean_loss)

    @property
    def perplexity(self) -> float:
        """Return the perplexity; +inf if it is not finite."""
        return perplexity(self.loss)


@dataclass(frozen=True)
class TaskScore:
    """The score of one variant on one task of lm-eval."""

    name: str
    metric: str
    value: float | None
    """of `metric`; None if it is not finite"""
    higher_is_better: bool
    items: tuple[float, ...]
    """the score of every item, in order; empty unless the value is their mean"""
    record: Mapping[str, Any]
    """every metric, number of items, task version, limit and the version of lm-eval"""

    @property
    def standard_error(self) -> float | None:
        """Return the error of the mean over items as in lm-eval; None below two items."""
        n = len(self.items)
        if n < 2:
            return None
        centre = math.fsum(self.items) / n
        return math.sqrt(math.fsum((x - centre) ** 2 for x in self.items) / (n - 1) / n)


@dataclass(frozen=True)
class Evaluation:
    """All scores of one variant: `removed` may be empty."""

    removed: tuple[int, ...]
    perplexities: dict[str, PerplexityScore] = field(default_factory=dict)
    """by protocol"""
    tasks: dict[str, TaskScore] = field(default_factory=dict)
    """by task"""
