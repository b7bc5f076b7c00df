"""What the runs of a study are compared by: accuracy, perplexity, or the loss that was searched."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from prunekit.plugins.commands.report.reading import Run, Study


@dataclass(frozen=True)
class Measure:
    """A number that runs have, or do not have yet."""

    name: str
    axis: str
    """its name with its unit"""
    points: str
    """what a difference of two counts"""
    more_is_better: bool
    of: Callable[[Run], float | None]
    logarithmic: bool = False

    def best(self, values: Iterable[float]) -> float:
        """The best of some values."""
        return max(values) if self.more_is_better else min(values)


ACCURACY = Measure(
    "accuracy", "average accuracy (%)", "points", True, lambda run: run.scores.accuracy
)
PERPLEXITY = Measure(
    "perplexity", "average perplexity", "", False, lambda run: run.scores.perplexity, True
)


def loss_in(unit: str) -> Measure:
    """The calibration loss above that of the dense model."""
    return Measure(
        "calibration loss", f"loss above dense ({unit})", unit, False, lambda run: run.difference
    )


def quality(study: Study, objective: str) -> Measure:
    """The first of accuracy, perplexity and calibration loss that this objective's runs have."""
    runs = study.where(objective=objective)
    for measure in (ACCURACY, PERPLEXITY):
        if any(measure.of(run) is not None for run in runs):
            return measure
    return loss_in(study.units[objective])


@dataclass(frozen=True)
class Summary:
    """Some runs in one number."""

    mean: float
    deviation: float | None
    """the standard deviation of a run, None for a single one or where the mean is not finite"""
    n: int


def summary(measure: Measure, runs: Sequence[Run]) -> Summary | None:
    """The mean over the runs that have a value, None where none has."""
    return summarise(map(measure.of, runs), [run.cell.draw for run in runs])


def summarise(values: Iterable[float | None], draws: Iterable[int]) -> Summary | None:
    """The mean over the values that there are, each with the calibration draw that it is from.

    >>> summarise([1.0, None, 3.0], draws=[0, 1, 2])
    Summary(mean=2.0, deviation=1.4142135623730951, n=2)
    """
    known = [(x, draw) for x, draw in zip(values, draws, strict=True) if x is not None]
    if not known:
        return None
    mean = mean_of([x for x, _ in known])
    return Summary(mean, _deviation(known) if math.isfinite(mean) else None, len(known))


def mean_of(values: Sequence[float]) -> float:
    """Rounded to twelve digits, so that equal means tie in whatever way they were summed.

    >>> mean_of([0.1, 0.2, 0.3]) == mean_of([0.3, 0.2, 0.1])
    True
    """
    return float(f"{fmean(values):.12g}")


def _deviation(known: Sequence[tuple[float, int]]) -> float | None:
    """Half the mean squared difference of two values is their variance.

    Those of different draws are independent; with one draw, those of different seeds stand for it.
    """
    pairs = list(itertools.combinations(known, 2))
    apart = [(a, b) for a, b in pairs if a[1] != b[1]] or pairs
    return math.sqrt(fmean((x - y) ** 2 for (x, _), (y, _) in apart) / 2) if apart else None


def by_searcher(study: Study, measure: Measure, **fixed: object) -> dict[str, Summary]:
    """Summaries of the runs with these values, for each searcher that has any."""
    found = {s: summary(measure, study.where(searcher=s, **fixed)) for s in study.searchers}
    return {searcher: s for searcher, s in found.items() if s is not None}


def item_error(study: Study, objective: str | None = None) -> float | None:
    """The standard error that an average accuracy has from its items, in points: the median."""
    where = {} if objective is None else {"objective": objective}
    known = [e for run in study.where(**where) if (e := run.scores.accuracy_error) is not None]
    return median(known) if known else None


def uncounted(study: Study, objective: str | None = None) -> str:
    """Which searchers took signals, whose cost is not counted, in words; empty where none did."""
    where = {} if objective is None else {"objective": objective}
    taken: dict[str, set[str]] = {}
    for run in study.where(**where):
        if run.result.signals:
            taken.setdefault(run.cell.searcher, set()).update(run.result.signals)
    return ", ".join(f"{searcher} ({', '.join(sorted(of))})" for searcher, of in taken.items())


@dataclass(frozen=True)
class Condition:
    """All but the searcher and chance: what the study compares searchers within."""

    model: str
    objective: str
    budget: int


def conditions(study: Study) -> list[Condition]:
    """Those in which at least one search has finished, in the order of the plan."""
    there = {(r.cell.model, r.cell.objective, r.cell.budget) for r in study.runs}
    return [
        Condition(model, objective, budget)
        for objective in study.objectives
        for budget in study.budgets
        for model in study.models
        if (model, objective, budget) in there
    ]
