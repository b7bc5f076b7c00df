"""What healing has given."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from prunekit.core.errors import ConfigError, PrunekitError
from prunekit.core.measurement import Measurement, mean_loss
from prunekit.engine.healed import Healed
from prunekit.engine.reading import Difference
from prunekit.engine.statistics import difference_error
from prunekit.engine.stored import finite
from prunekit.engine.summary import Summarised, Summary, plain, with_error, without
from prunekit.engine.verdict import LogRatio, Verdict, judge

SCHEMA = 1
HEALED = "healed"
"""The folder in a study for the results of cells that were healed."""


@dataclass(frozen=True, repr=False)
class HealResult(Summarised):
    """A healed model: where it was written, and what healing gained."""

    model: str
    """the dense model"""
    removed: tuple[int, ...]
    healed: Healed
    verdict_before: Verdict
    verdict: Verdict
    """on the ratio of its perplexity on held-out text to the dense model's"""
    saved: str
    """the folder of the checkpoint"""
    folder: str
    """what is kept of the training"""
    schema: int = SCHEMA

    def summary(self) -> Summary:
        """Return what the training gained."""
        of = self.healed
        facts = {
            "held out": f"{of.before:.4f} before, {of.after:.4f} after, {of.dense:.4f} dense "
            "(nats per token)",
            "gain": with_error(of.gain),
            "verdict": self.verdict.words,
            "saved": self.saved,
        }
        return Summary(f"{without(self.model, self.removed)}, healed", self.removed, facts=facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return the training and its losses, in one row."""
        return [plain(self.healed, "versions")]

    def to_json(self) -> str:
        """Return JSON text."""
        return json.dumps(finite(dataclasses.asdict(self)), indent=2, allow_nan=False) + "\n"


class NotHealed(PrunekitError):
    """Training gained nothing on held-out text, so nothing was written."""


class TooMuchLost(PrunekitError):
    """The healed model misses its bound; it was written all the same. Holds the result."""

    exit_status = 3

    def __init__(self, message: str, result: HealResult) -> None:
        super().__init__(message)
        self.result = result


def loss(measured: Measurement) -> float:
    """Return the mean over tokens."""
    return mean_loss(measured.sums, measured.weights)


def difference(a: Measurement, b: Measurement) -> Difference:
    """Return the loss of a minus that of b on the same samples, with its standard error."""
    return Difference(loss(a) - loss(b), difference_error(a, b, mean_loss))


def verdict_on(above: Difference, healed: Healed) -> Verdict:
    """Return what the ratio of perplexities to the dense model's says."""
    log_ratio = LogRatio.of(above, healed.samples)
    return judge(log_ratio, f" on {healed.samples} held-out sequences")


def check_bound_given(bound: float | None) -> None:
    """Raise ConfigError unless it is a number above 0."""
    if bound is not None and not 0 < bound < math.inf:
        raise ConfigError(f"--max-ppl-ratio {bound}: expected a number above 0", ("max_ppl_ratio",))


def check_bound(result: HealResult, bound: float | None) -> None:
    """Raise TooMuchLost if the perplexity is more than `bound` times the dense one."""
    ratio: Any = result.verdict.ratio
    times = "not finite" if ratio is None else f"{ratio:.4f}"
    if bound is not None and not (ratio is not None and ratio <= bound):
        raise TooMuchLost(
            f"gate missed: perplexity on held-out text is {times} times the dense one, more "
            f"than the allowed {bound:g}; {result.saved} was written all the same",
            result,
        )
