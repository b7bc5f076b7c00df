"""Compare the runs of a study by accuracy, perplexity or calibration loss."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from prunekit.plugins.commands.report.data import Study, select

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measure:
    """A column of the runs by which searchers are compared."""

    name: str
    column: str
    axis: str
    """its name with its unit"""
    points: str
    """the unit of a difference"""
    more_is_better: bool = False
    logarithmic: bool = False

    def best(self, values: Iterable[float]) -> float:
        """Return the best of some values."""
        return max(values) if self.more_is_better else min(values)


ACCURACY = Measure("accuracy", "accuracy", "average accuracy (%)", "points", more_is_better=True)
PERPLEXITY = Measure("perplexity", "perplexity", "average perplexity", "", logarithmic=True)


def quality(study: Study, objective: str) -> Measure:
    """Return what an objective is about, if measured: perplexity if its loss is per token.

    Else accuracy; else the other one of the two, or the calibration loss above the dense one.
    """
    runs = study.where(objective=objective)
    of_text = study.units.get(objective, "").endswith("per token")
    for measure in (PERPLEXITY, ACCURACY) if of_text else (ACCURACY, PERPLEXITY):
        if runs[measure.column].notna().any():
            return measure
    unit = study.units[objective]
    return Measure("calibration loss", "difference", f"loss above dense ({unit})", unit)


class Condition(NamedTuple):
    """All but the searcher, seed and draw: searchers are compared within a condition."""

    model: str
    objective: str
    budget: int


def conditions(study: Study) -> list[Condition]:
    """Return those in which at least one search has finished, in the order of the plan."""
    found = study.means[["model", "objective", "budget"]].drop_duplicates()
    return [Condition(*row) for row in found.itertuples(index=False)]


def points(study: Study, column: str, **fixed: Any) -> pd.DataFrame:
    """Return the mean and the deviation of each searcher that has any, with searchers as index.

    An infinite mean is one, too.
    """
    found = select(study.means, **fixed).set_index("searcher")[[column, f"{column} ±"]]
    return found.set_axis(["mean", "deviation"], axis=1).dropna(subset=["mean"])


def finite(found: pd.DataFrame) -> pd.DataFrame:
    """Select the points with a finite mean."""
    return found[found["mean"].abs() < math.inf]


class Spans(NamedTuple):
    """Distances in the unit of a measure."""

    range: list[float]
    """from the worst searcher to the best, in every condition with two or more"""
    searcher: list[float]
    """between every two searchers of a condition"""
    objective: list[float]
    """between every two objectives under which the same searcher was used, all else the same"""


def spans(study: Study, measure: Measure) -> Spans:
    """Measure how far searchers, and objectives, are apart if the rest stays the same.

    Both are distances of two searches, so that they can be compared; a range grows with the number
    of searchers and cannot.
    """
    found = {c: finite(points(study, measure.column, **c._asdict())) for c in conditions(study)}
    values = {c: of["mean"].to_dict() for c, of in found.items() if len(of)}
    pairs = [
        (values[a], values[b])
        for a, b in itertools.combinations(values, 2)
        if (a.model, a.budget) == (b.model, b.budget)
    ]
    several = [list(of.values()) for of in values.values() if len(of) > 1]
    return Spans(
        [max(of) - min(of) for of in several],
        [abs(x - y) for of in several for x, y in itertools.combinations(of, 2)],
        [abs(a[s] - b[s]) for a, b in pairs for s in a if s in b],
    )


def item_error(runs: pd.DataFrame) -> float | None:
    """Return the median standard error of the average accuracies over their items, in points."""
    known = runs["accuracy_error"].dropna().tolist()
    return median(known) if known else None


def uncounted(runs: pd.DataFrame) -> str:
    """List the searchers that used signals, whose cost is not counted; empty if none did."""
    used: dict[str, set[str]] = {}
    for searcher, signals in zip(runs["searcher"], runs["signals"], strict=True):
        if signals:
            used.setdefault(searcher, set()).update(signals)
    return ", ".join(f"{searcher} ({', '.join(sorted(of))})" for searcher, of in used.items())


def on_every_seed(study: Study, **fixed: Any) -> pd.DataFrame:
    """Select runs, with one row for every seed if the searcher does not use chance.

    Such a searcher is planned with a single seed, since it would choose the same with any other.
    Counted once for each seed, it weighs as much as the others and has a partner in all pairs.
    """
    seeds: dict[object, set[int]] = {}
    for cell in study.planned:
        seeds.setdefault((cell.model, cell.objective, cell.searcher, cell.budget), set()).add(
            cell.seed
        )
    runs = study.where(**fixed)
    keys = zip(runs["model"], runs["objective"], runs["searcher"], runs["budget"], strict=True)
    spread = [
        study.seeds if len(seeds[key]) == 1 else [seed]
        for key, seed in zip(keys, runs["seed"], strict=True)
    ]
    return runs.assign(seed=spread).explode("seed")
