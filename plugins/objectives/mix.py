"""A weighted mix of other objectives."""

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
    """

    name: ClassVar[str] = "mix"
    unit: ClassVar[str] = "deviations"
    parts: str = option("ppl:1,margin:1", "objectives and their weights, as ppl:1,margin:0.5")

    def __post_init__(self) -> None:
        self.parts_by_name()

    def parts_by_name(self) -> dict[str, float]:
        """Return the weight of every part; ConfigError if the option cannot be parsed."""
        weights: dict[str, float] = {}
        for part in self.parts.split(","):
            name, _, weight = part.strip().rpartition(":")
            try:
                value = float(weight)
            except ValueError:
                value = math.nan
            if not name or name == self.name or name in weights or not math.isfinite(value):
                raise ConfigError(
                    f"mix.parts: expected objectives and weights as ppl:1,margin:0.5, each "
                    f"objective once, got {self.parts!r}",
                    ("mix", "parts"),
                )
            weights[name] = value
        return weights


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Mix]
