"""A gate for pipelines: how much worse a pruned model may be."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from prunekit.core.errors import ConfigError, PrunekitError
from prunekit.workflows.evaluation.comparison import EvaluationResult, Row


class GateMissed(PrunekitError):
    """The pruned model is worse than it may be; the message says where and by how much."""

    exit_status = 3


@dataclass(frozen=True)
class Gate:
    """Bounds; None asks for nothing."""

    max_ppl_ratio: float | None = None
    """of pruned over dense perplexity, under every protocol"""
    min_accuracy: float | None = None
    """mean over the tasks, 0 to 1"""

    def __post_init__(self) -> None:
        """ConfigError where a bound makes no sense."""
        if self.max_ppl_ratio is not None and not self.max_ppl_ratio > 0:
            raise ConfigError(f"max-ppl-ratio: expected a number above 0, got {self.max_ppl_ratio}")
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise ConfigError(f"min-accuracy: expected 0 to 1, got {self.min_accuracy}")

    def check(self, result: EvaluationResult) -> None:
        """Raise GateMissed, or ConfigError where what is bounded was not evaluated."""
        missed = [*self._ratios(result), *self._accuracy(result)]
        if missed:
            raise GateMissed(f"gate missed: {'; '.join(missed)}")

    def _ratios(self, result: EvaluationResult) -> list[str]:
        if self.max_ppl_ratio is None:
            return []
        missed = []
        for name, row in _needed(result.perplexities, "max-ppl-ratio", "--ppl").items():
            if row.dense is None:
                raise ConfigError(f"max-ppl-ratio: {name} has no dense perplexity to compare with")
            ratio = row.pruned / row.dense if row.pruned is not None else float("inf")
            if not ratio <= self.max_ppl_ratio:
                missed.append(
                    f"perplexity on {name} is {ratio:.4f} times the dense one, at most "
                    f"{self.max_ppl_ratio:g} was asked for"
                )
        return missed

    def _accuracy(self, result: EvaluationResult) -> list[str]:
        if self.min_accuracy is None:
            return []
        rows = _needed(result.tasks, "min-accuracy", "--tasks").values()
        values = [row.pruned if row.pruned is not None else 0.0 for row in rows]
        mean = statistics.mean(values)
        if mean >= self.min_accuracy:
            return []
        return [f"the mean accuracy is {mean:.4f}, at least {self.min_accuracy:g} was asked for"]


def _needed(rows: Mapping[str, Row], bound: str, flag: str) -> Mapping[str, Row]:
    if not rows:
        raise ConfigError(f"{bound}: nothing to hold it against; add {flag}")
    return rows
