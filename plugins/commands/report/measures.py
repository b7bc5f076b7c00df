"""Compare the runs of a study by accuracy, perplexity or calibration loss."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
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
    """Return the first of accuracy, perplexity and calibration loss that was measured."""
    runs = study.where(objective=objective)
    for measure in (ACCURACY, PERPLEXITY):
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

    searcher: list[float]
    """from the worst searcher to the best, in every condition with two or more"""
    objective: list[float]
    """between the means over searchers of two objectives, for every model, budget and pair"""


def spans(study: Study, measure: Measure) -> Spans:
    """Measure how far searchers, and objectives, are apart if the rest stays the same."""
    found = {c: finite(points(study, measure.column, **c._asdict())) for c in conditions(study)}
    values = {c: of["mean"].tolist() for c, of in found.items() if len(of)}
    pairs = [
        (a, b)
        for a, b in itertools.combinations(values, 2)
        if (a.model, a.budget) == (b.model, b.budget)
    ]
    return Spans(
        [max(of) - min(of) for of in values.values() if len(of) > 1],
        [abs(fmean(values[a]) - fmean(values[b])) for a, b in pairs],
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


ORDERS = 9999
"""Random orders if there are more than that: the p-value is exact up to 7 searchers."""


@dataclass(frozen=True)
class RankComparison:
    """Searchers in one condition, ranked twice; 1 is best, and ties share their mean rank."""

    searchers: tuple[str, ...]
    perplexity: tuple[float, ...]
    accuracy: tuple[float, ...]
    rho: float | None
    """Spearman's, None if all tie in one of the two"""
    p: float | None
    """the share of orders that correlate as strongly, in either direction"""


def compare_ranks(study: Study, condition: Condition) -> RankComparison | None:
    """Rank the searchers that have both numbers; None if these are fewer than three."""
    from scipy.stats import rankdata

    perplexity, accuracy = (
        points(study, name, **condition._asdict())["mean"] for name in ("perplexity", "accuracy")
    )
    searchers = [s for s in perplexity.index if s in accuracy.index]
    if len(searchers) < 3:
        return None
    by_perplexity = rankdata(perplexity[searchers])
    by_accuracy = rankdata(-accuracy[searchers])
    rho = spearman(by_perplexity, by_accuracy)
    p = None if rho is None else p_value(by_perplexity, by_accuracy)
    return RankComparison(
        tuple(searchers), tuple(by_perplexity.tolist()), tuple(by_accuracy.tolist()), rho, p
    )


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rho, None if one of the two is constant or has fewer than two values."""
    from scipy.stats import spearmanr

    if len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return float(spearmanr(a, b).statistic)


def p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the share of all orders of `a` whose correlation with `b` is at least as strong.

    >>> p_value([1, 2, 3], [1, 2, 3])  # 123 and 321, of six orders
    0.3333333333333333
    """
    import numpy as np
    from scipy.stats import rankdata

    x, y = (rankdata(values) - (len(a) + 1) / 2 for values in (a, b))
    if math.factorial(len(a)) <= ORDERS:
        orders = np.array(list(itertools.permutations(x)))
    else:
        rng = np.random.default_rng(0)
        orders = np.vstack([x, rng.permuted(np.tile(x, (ORDERS - 1, 1)), axis=1)])
    strong = np.abs(orders @ y) >= abs(x @ y) * (1 - 1e-9)
    return float(strong.mean())
