"""What the variance of a study's results is due to, for each model and budget and for all of them.

For chosen blocks the squared difference is the number of blocks that one run removed and the other
did not, so a variance counts the blocks that are exchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core.problem import Subset
from prunekit.plugins.commands.report.components import Components, components, pooled
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.labels import out_of_conditions
from prunekit.plugins.commands.report.measures import on_every_seed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Outcome:
    """A result whose variance is decomposed."""

    title: str
    said: str
    column: str
    logarithmic: bool = False

    def components(self, runs: pd.DataFrame) -> Components | None:
        """Decompose it over the runs of one model and budget in which it is known and finite."""
        cells = out_of_conditions(runs).itertuples(index=False)
        if self.column == "removed":
            return components(list(zip(cells, runs["removed"], strict=True)), _blocks_apart)
        values = [math.log(x) if self.logarithmic else x for x in runs[self.column]]
        known = [(c, x) for c, x in zip(cells, values, strict=True) if math.isfinite(x)]
        return components(known, lambda a, b: (a - b) ** 2)


OUTCOMES = (
    Outcome("chosen blocks", "of the chosen blocks is due", "removed"),
    Outcome("average accuracy", "of the accuracy", "accuracy"),
    Outcome(
        "logarithm of average perplexity",
        "of the logarithm of perplexity",
        "perplexity",
        logarithmic=True,
    ),
)
Bars = dict[str, Components]
ALL = "all"
"""the name of the bar for all models and budgets"""


def name_of(study: Study, model: str, budget: int) -> str:
    """Name the bar of a model and budget."""
    return f"{study.short[model]}, k = {budget}"


def variances(study: Study, outcome: Outcome) -> Bars:
    """Return the components for each model and budget where known, and last for all of them."""
    groups = {
        name_of(study, m, k): outcome.components(on_every_seed(study, model=m, budget=k))
        for m in study.models
        for k in study.budgets
    }
    bars = {name: parts for name, parts in groups.items() if parts is not None}
    whole = pooled(list(bars.values()))
    return {**bars, ALL: whole} if whole is not None and len(bars) > 1 else bars


def _blocks_apart(a: Subset, b: Subset) -> int:
    return len(a ^ b)
