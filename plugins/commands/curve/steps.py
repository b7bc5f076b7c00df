"""Which budgets a curve has, and what is evaluated at each."""

from __future__ import annotations

from dataclasses import dataclass

from prunekit.core.options import option, options_of
from prunekit.engine.config import Settings

OF_CURVES = tuple(o.name for o in options_of(Settings) if o.name != "finalists")
"""The settings of a search that a curve has."""


@dataclass(frozen=True)
class Steps:
    """The budgets of a curve, and the texts on which its choices are evaluated."""

    every: int = option(1, "blocks from one budget to the next", low=1)
    evaluate: str = option("", "perplexities too: wikitext2, c4, lambada, demo, or files")
    evaluate_samples: int | None = option(None, "windows of each of these texts", low=1)
