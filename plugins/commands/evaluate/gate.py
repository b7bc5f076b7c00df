"""Bounds that a pruned model must keep, as a gate of a pipeline."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from prunekit.core.errors import ConfigError, PrunekitError
from prunekit.core.options import suggest
from prunekit.plugins.commands.evaluate.comparison import MEAN, EvaluationResult


class GateMissed(PrunekitError):
    """The pruned model is worse than its bounds; the message says where and by how much."""

    exit_status = 3

    def __init__(self, message: str, result: EvaluationResult) -> None:
        super().__init__(message)
        self.result = result


class Gate:
    """Bounds that a pruned model must keep.

    `max_ppl_ratio` bounds the pruned over the dense perplexity under every protocol, `min_accuracy`
    the mean over the tasks, or each task that it names.
    """

    def __init__(self, max_ppl_ratio: float | None = None, min_accuracy: object = None) -> None:
        """Raise ConfigError if a bound is out of range."""
        if max_ppl_ratio is not None and not 0 < max_ppl_ratio < math.inf:
            raise ConfigError(f"max-ppl-ratio: expected a number above 0, got {max_ppl_ratio}")
        if not isinstance(min_accuracy, Mapping):
            min_accuracy = {} if min_accuracy is None else {MEAN: min_accuracy}
        self.max_ppl_ratio = max_ppl_ratio
        self.min_accuracy = {str(name): _number(bound) for name, bound in min_accuracy.items()}
        for name, value in self.min_accuracy.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"min-accuracy of {name}: expected 0 to 1, got {value}")

    def check_names(self, protocols: Collection[str], tasks: Collection[str], dense: bool) -> None:
        """Raise ConfigError if a bound is on something that will not be evaluated.

        `dense` says that there is a dense model to compare with.
        """
        if self.max_ppl_ratio is not None and not protocols:
            raise ConfigError("max-ppl-ratio: no perplexity is evaluated; add --ppl")
        if self.max_ppl_ratio is not None and not dense:
            raise ConfigError(
                "max-ppl-ratio: there is no dense model to compare with; name a run, a model and "
                "the blocks to --remove, or a --baseline"
            )
        if self.min_accuracy and not tasks:
            raise ConfigError("min-accuracy: no task is evaluated; add --tasks")
        for name in self.min_accuracy:
            if name not in (MEAN, *tasks):
                raise ConfigError(
                    f"min-accuracy: {name} is not evaluated.{suggest(name, [MEAN, *tasks])}"
                )

    def check(self, result: EvaluationResult) -> None:
        """Raise GateMissed if a bound is missed; a number that is not finite misses every bound."""
        missed = [*self._ratios(result), *self._accuracies(result)]
        if missed:
            raise GateMissed(f"gate missed: {'; '.join(missed)}", result)

    def _ratios(self, result: EvaluationResult) -> Iterator[str]:
        bound = math.inf if self.max_ppl_ratio is None else self.max_ppl_ratio
        for name, row in result.perplexities.items():
            ratio = row.pruned / row.dense if row.pruned and row.dense else math.inf
            if ratio > bound:
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
