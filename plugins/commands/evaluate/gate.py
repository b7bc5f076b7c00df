"""A gate for pipelines: how much worse a pruned model may be."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from prunekit.core.errors import ConfigError, PrunekitError
from prunekit.core.options import suggest
from prunekit.plugins.commands.evaluate.comparison import MEAN, EvaluationResult


class GateMissed(PrunekitError):
    """The pruned model is worse than it may be; the message says where and by how much."""

    exit_status = 3

    def __init__(self, message: str, result: EvaluationResult) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Gate:
    """Bounds. Raises ConfigError where one makes no sense."""

    max_ppl_ratio: float | None = None
    """of pruned over dense perplexity, under every protocol"""
    min_accuracy: Mapping[str, float] = field(default_factory=dict)
    """0 to 1, by task; `mean` is the mean over the tasks"""

    def __post_init__(self) -> None:
        ratio = self.max_ppl_ratio
        if ratio is not None and not 0 < ratio < math.inf:
            raise ConfigError(f"max-ppl-ratio: expected a number above 0, got {ratio}")
        for name, bound in self.min_accuracy.items():
            if not 0 <= bound <= 1:
                raise ConfigError(f"min-accuracy of {name}: expected 0 to 1, got {bound}")

    @classmethod
    def of(cls, max_ppl_ratio: float | None, min_accuracy: object) -> Gate:
        """With an accuracy that is a number, the mean's, or a mapping of tasks to numbers."""
        if min_accuracy is None:
            return cls(max_ppl_ratio)
        given = min_accuracy if isinstance(min_accuracy, Mapping) else {MEAN: min_accuracy}
        return cls(max_ppl_ratio, {str(name): _number(bound) for name, bound in given.items()})

    def check_wanted(self, protocols: Collection[str], tasks: Collection[str], dense: bool) -> None:
        """ConfigError where a bound is on something that will not be evaluated.

        `dense` says whether the dense model will be there.
        """
        if self.max_ppl_ratio is not None and not protocols:
            raise ConfigError("max-ppl-ratio: no perplexity is evaluated; add --ppl")
        if self.max_ppl_ratio is not None and not dense:
            raise ConfigError(
                "max-ppl-ratio: there is no dense model to compare with; name a run, or a model "
                "and the blocks to --remove"
            )
        if self.min_accuracy and not tasks:
            raise ConfigError("min-accuracy: no task is evaluated; add --tasks")
        for name in self.min_accuracy:
            if name not in (MEAN, *tasks):
                raise ConfigError(
                    f"min-accuracy: {name} is not evaluated.{suggest(name, [MEAN, *tasks])}"
                )

    def check(self, result: EvaluationResult) -> None:
        """Raise GateMissed where a bound is missed; what is not finite misses every bound."""
        missed = [*self._ratios(result), *self._accuracies(result)]
        if missed:
            raise GateMissed(f"gate missed: {'; '.join(missed)}", result)

    def _ratios(self, result: EvaluationResult) -> Iterator[str]:
        bound = self.max_ppl_ratio
        for name, row in result.perplexities.items() if bound is not None else ():
            ratio = row.pruned / row.dense if row.pruned and row.dense else math.inf
            if bound is not None and ratio > bound:
                yield (
                    f"perplexity on {name} is {ratio:.4f} times the dense one, "
                    f"{ratio - bound:.4f} more than the allowed {bound:g}"
                )

    def _accuracies(self, result: EvaluationResult) -> Iterator[str]:
        for name, bound in self.min_accuracy.items():
            row = result.mean_accuracy() if name == MEAN else result.tasks[name]
            value = (row.value if row else None) or 0.0
            if value < bound:
                what = "the mean accuracy" if name == MEAN else f"accuracy on {name}"
                yield f"{what} is {value:.4f}, {bound - value:.4f} less than the wanted {bound:g}"


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise ConfigError(f"min-accuracy: expected a number from 0 to 1, got {value!r}") from None
