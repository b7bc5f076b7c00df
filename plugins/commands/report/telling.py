"""Which searchers differ significantly by what their choices score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import fmean
from typing import TYPE_CHECKING

from prunekit.core.problem import Subset
from prunekit.engine.paired import LEVEL, discordant, holm, mcnemar, normal_p
from prunekit.engine.statistics import jackknife
from prunekit.plugins.commands.report.data import Study, select
from prunekit.plugins.commands.report.measures import Condition

if TYPE_CHECKING:
    import pandas as pd

Choice = Mapping[tuple[int, Subset], Fraction]
"""how often a searcher removed these blocks on each draw, as a share of its runs on that draw"""


def choices(study: Study, condition: Condition) -> dict[str, Choice]:
    """Return what each searcher chose in a condition."""
    found: dict[str, Choice] = {}
    for searcher, runs in study.where(**condition._asdict()).groupby("searcher", observed=True):
        counts = Counter(zip(runs["draw"], runs["removed"], strict=True))
        of_draw = Counter(runs["draw"])
        found[str(searcher)] = {key: Fraction(n, of_draw[key[0]]) for key, n in counts.items()}
    return found


def not_the_best(study: Study, condition: Condition, column: str, more: bool) -> dict[str, float]:
    """Return the p-value of each searcher against the best one, by Holm's correction for all.

    Only those that scored otherwise than the best, and whose error is known.
    """
    found = select(study.means, **condition._asdict()).set_index("searcher")[column].dropna()
    if found.empty:
        return {}
    top = str(found.idxmax() if more else found.idxmin())
    runs = study.where(**condition._asdict())
    by_searcher = {s: select(runs, searcher=s) for s in found.index}
    p_values = {
        s: p
        for s, value in found.items()
        if value != found[top] and math.isfinite(value)
        if (p := p_value_of(study, column, by_searcher[top], by_searcher[s])) is not None
    }
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def alike(study: Study, condition: Condition, column: str, more: bool) -> list[str]:
    """Return the searchers that do not differ significantly from the best, though not equal."""
    found = not_the_best(study, condition, column, more)
    return [searcher for searcher, p in found.items() if p >= LEVEL]


def p_value_of(study: Study, column: str, a: pd.DataFrame, b: pd.DataFrame) -> float | None:
    """Return the p-value of no difference between the mean scores of two searchers' runs.

    Paired where the values of items are kept: by McNemar's exact test for one subset each on one
    task, else by the jackknife. Without these from the standard errors of both, as if they were
    independent, which makes a difference harder to establish. None if no error is known.
    """
    if (exact := _exact(study, column, a, b)) is not None:
        return exact
    parts = study.averaged.get(column, (column,))
    errors = [_error(study, part, a, b) for part in parts]
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return None
    return normal_p(a[column].mean() - b[column].mean(), math.hypot(*known) / len(parts))


def _exact(study: Study, column: str, a: pd.DataFrame, b: pd.DataFrame) -> float | None:
    subsets = [set(of["removed"]) for of in (a, b)]
    if column not in study.tasks.values() or any(len(of) > 1 for of in subsets):
        return None
    kept = [study.kept.get((a["model"].iloc[0], *of), {}).get(column) for of in subsets]
    if None in kept or len({len(m.sums) for m in kept if m}) != 1:
        return None
    counts = discordant(*(m.sums for m in kept if m))
    return mcnemar(*counts) if counts else None


def _error(study: Study, column: str, a: pd.DataFrame, b: pd.DataFrame) -> float | None:
    """Return the standard error of the difference of two means over runs."""
    if column in ("loss", "difference"):
        return _independent([of["standard_error"].tolist() for of in (a, b)])
    without = [_without_each(study, column, of) for of in (a, b)]
    if without[0] and without[1] and len(without[0]) == len(without[1]):
        return jackknife([x - y for x, y in zip(*without, strict=True)])
    errors = [
        [study.errors.get(variant, {}).get(column, math.nan) for variant in _variants(of)]
        for of in (a, b)
    ]
    return _independent(errors)


def _independent(errors: Sequence[Sequence[float]]) -> float | None:
    """Return the error of a difference from those of the runs, which share items or samples."""
    error = math.hypot(*map(fmean, errors))
    return None if math.isnan(error) else error


def _without_each(study: Study, column: str, runs: pd.DataFrame) -> list[float]:
    """Return the mean score of the runs without each item; empty if items are not kept."""
    kept = [study.kept.get(variant, {}).get(column) for variant in _variants(runs)]
    if None in kept or len({len(m.sums) for m in kept if m}) != 1:
        return []
    scores = [study.score_without_each(column, m) for m in kept if m]
    return [fmean(of_item) for of_item in zip(*scores, strict=True)]


def _variants(runs: pd.DataFrame) -> list[tuple[str, Subset]]:
    return list(zip(runs["model"], runs["removed"], strict=True))
