"""A weighted mix of other objectives, within bounds on some."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import ConfigError, hookimpl, option


@dataclass(frozen=True)
class Mix:
    """Weigh other objectives, each in units of how far single removals spread it.

    Each part is measured for itself, so that its measurements serve other searches too. From its
    loss the median over all single removals is taken, and the rest divided by their median absolute
    deviation; those numbers are added by weight.

    A `bound` guards against a loss that can be gamed: with ppl:1.5 a subset may have up to 1.5
    times the perplexity of the dense model; under any objective, exp(loss - loss of the dense
    model) is bounded. A subset that exceeds a bound has 1000 plus the excess as its loss, in
    deviations too, and all others less than 1000: the sum itself up to 500, and s beyond that
    becomes 1000 - 250000 / s.
    """

    name: ClassVar[str] = "mix"
    unit: ClassVar[str] = "deviations"
    parts: str = option("ppl:1,margin:1", "objectives and their weights, as ppl:1,margin:0.5")
    bound: str | None = option(
        None, "objectives and how far they may exceed the dense model, as ppl:1.5"
    )

    def __post_init__(self) -> None:
        self.parts_by_name()
        self.bounds_by_name()

    def parts_by_name(self) -> dict[str, float]:
        """Return the weight of every part; ConfigError if the option cannot be parsed."""
        weights = self._numbers_by_name(self.parts)
        if weights is None or not all(map(math.isfinite, weights.values())):
            raise ConfigError(
                f"mix.parts: expected objectives and weights as ppl:1,margin:0.5, each "
                f"objective once, got {self.parts!r}",
                ("mix", "parts"),
            )
        return weights

    def bounds_by_name(self) -> dict[str, float]:
        """Return the ratio of every bound; ConfigError if the option cannot be parsed."""
        if self.bound is None:
            return {}
        ratios = self._numbers_by_name(self.bound)
        if ratios is None or not all(1 <= ratio < math.inf for ratio in ratios.values()):
            raise ConfigError(
                f"mix.bound: expected objectives and ratios from 1 on as ppl:1.5, each objective "
                f"once, got {self.bound!r}",
                ("mix", "bound"),
            )
        return ratios

    def _numbers_by_name(self, text: str) -> dict[str, float] | None:
        """Parse `ppl:1,margin:0.5`; None if it is something else."""
        numbers: dict[str, float] = {}
        for part in text.split(","):
            name, _, number = part.strip().rpartition(":")
            try:
                value = float(number)
            except ValueError:
                return None
            if not name or name == self.name or name in numbers:
                return None
            numbers[name] = value
        return numbers


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Mix]
