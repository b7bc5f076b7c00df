"""Which budgets a curve has."""

from __future__ import annotations

from dataclasses import dataclass

from prunekit.core.options import option


@dataclass(frozen=True)
class Steps:
    """The budgets of a curve."""

    every: int = option(1, "blocks from one budget to the next", low=1)
