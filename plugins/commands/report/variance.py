"""Decompose the variance into parts due to the objective, the searcher, and chance.

Half the mean squared difference between two runs is the variance of what they differ in. So the
runs of one model and budget are paired, and the pairs are grouped by what differs:

    V_seed    the seed of the search alone
    V_draw    the calibration draw
    V_s       searcher and draw
    V_o       objective and draw
    V_os      objective, searcher and draw: the total

    objective = V_os - V_s              searcher = V_os - V_o
    both together = V_s + V_o - V_os - V_draw
    draw = V_draw - V_seed              seed = V_seed

which add up to V_os. Objectives are compared on different draws only, since on one draw two of them
may share their samples, as `ppl` and `kl` do. If the grid is complete, these are the estimates
of a random-effects analysis of variance in which objectives, searchers and draws are crossed, and
seeds are nested in all. They are unbiased, also if objectives share no samples, and so can be
negative if a share is close to zero.
For chosen blocks the squared difference is the number of blocks that one run removed and the other
did not, so a variance counts the blocks that are exchanged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar

from prunekit.core.problem import Subset
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.measures import on_every_seed

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


@dataclass(frozen=True)
class Components:
    """Estimated parts of a variance; None if a study does not vary or cannot separate it."""

    objective: float | None
    searcher: float | None
    together: float | None
    """the effect of a searcher that depends on the objective"""
    draw: float
    seed: float | None

    @property
    def parts(self) -> dict[str, float]:
        """Return the known parts by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def total(self) -> float:
        """Return the variance between two runs that have nothing in common."""
        return math.fsum(self.parts.values())

    @property
    def shares(self) -> dict[str, float]:
        """Return the parts over their sum, with negative ones as 0; all 0 if nothing varies."""
        positive = {name: max(0.0, value) for name, value in self.parts.items()}
        whole = math.fsum(positive.values())
        return {name: value / whole if whole else 0.0 for name, value in positive.items()}


@dataclass(frozen=True)
class Outcome:
    """A result whose variance is decomposed."""

    title: str
    said: str
    column: str
    logarithmic: bool = False

    def components(self, runs: pd.DataFrame) -> Components | None:
        """Decompose it over the runs of one model and budget in which it is known and finite."""
        cells = runs.itertuples(index=False)
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


def components(
    observed: Sequence[tuple[Any, T]], squared_distance: Callable[[T, T], float]
) -> Components | None:
    """Return the parts of the variance of what was observed in the cells of one model and budget.

    None without two draws, since only these separate chance from the rest.
    """
    distances: dict[str, list[float]] = {}
    for (a, of_a), (b, of_b) in itertools.combinations(observed, 2):
        distances.setdefault(_what_differs(a, b), []).append(squared_distance(of_a, of_b))
    v = {kind: fmean(values) / 2 for kind, values in distances.items()}
    if "draw" not in v:
        return None
    seed = v.get("seed")
    draw = v["draw"] - (seed or 0.0)
    if "both" in v and "searcher" in v and "objective" in v:
        together = v["searcher"] + v["objective"] - v["both"] - v["draw"]
        objective, searcher = v["both"] - v["searcher"], v["both"] - v["objective"]
        return Components(objective, searcher, together, draw, seed)
    searcher_alone = v["searcher"] - v["draw"] if "searcher" in v else None
    objective_alone = v["objective"] - v["draw"] if "objective" in v else None
    return Components(objective_alone, searcher_alone, None, draw, seed)


def pooled(parts: Sequence[Components]) -> Components | None:
    """Add up the models and budgets with the most known parts; None without any.

    In an unfinished study, one with a single objective so far would hide that part of the others.
    """
    if not parts:
        return None
    most = max(len(part.parts) for part in parts)
    best = [part for part in parts if len(part.parts) == most]

    def total(name: str) -> float | None:
        values = [vars(part)[name] for part in best]
        return None if None in values else math.fsum(values)

    return Components(**{f.name: total(f.name) for f in fields(Components)})  # type: ignore[arg-type]


def _what_differs(a: Any, b: Any) -> str:
    if a.draw == b.draw:
        same = (a.objective, a.searcher) == (b.objective, b.searcher)
        return "seed" if same else "another search on the same draw"
    if a.objective != b.objective:
        return "both" if a.searcher != b.searcher else "objective"
    return "searcher" if a.searcher != b.searcher else "draw"


def _blocks_apart(a: Subset, b: Subset) -> int:
    return len(a ^ b)
