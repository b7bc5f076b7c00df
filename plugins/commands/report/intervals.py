"""How sure the shares of a variance are: intervals by the jackknife over draws or conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from prunekit.engine.statistics import jackknife
from prunekit.plugins.commands.report.components import Components, pooled
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.measures import on_every_seed
from prunekit.plugins.commands.report.variance import ALL, Bars, Outcome, name_of

FEWEST = 3
"""draws or conditions; one of two left out says nothing"""
Shares = Mapping[str, float]
Interval = tuple[float, float]


def shares_without_each(study: Study, outcome: Outcome, bars: Bars) -> dict[str, list[Shares]]:
    """Return the shares of each bar without each of its draws; of all, without each condition.

    Only where three or more can be left out.
    """
    found: dict[str, list[Shares]] = {
        bar: [of.shares for of in without]
        for model in study.models
        for k in study.budgets
        if (bar := name_of(study, model, k)) in bars
        if (without := _without_draws(study, outcome, model, k))
    }
    parts = [of for bar, of in bars.items() if bar != ALL]
    if ALL in bars and len(parts) >= FEWEST:
        rest = (pooled(parts[:i] + parts[i + 1 :]) for i in range(len(parts)))
        found[ALL] = [of.shares for of in rest if of is not None]
    return found


def _without_draws(study: Study, outcome: Outcome, model: str, budget: int) -> Sequence[Components]:
    runs = on_every_seed(study, model=model, budget=budget)
    draws = runs["draw"].unique()
    if len(draws) < FEWEST:
        return []
    found = [outcome.components(runs[runs["draw"] != draw]) for draw in draws]
    return [of for of in found if of is not None] if None not in found else []


def interval(whole: Shares, without: Sequence[Shares], *names: str) -> Interval | None:
    """Return the 95 % interval of the sum of some shares, by Student's t; None if not known.

    `without` are the shares with one draw or condition left out, each in its turn (Efron and
    Stein, 1981). Shares are at least 0 and at most 1, and so are the ends.

    >>> interval({"draw": 0.5}, [{"draw": 0.5}] * 4, "draw")
    (0.5, 0.5)
    """
    from scipy.stats import t

    if len(without) < FEWEST:
        return None
    each = [math.fsum(of.get(name, 0.0) for name in names) for of in without]
    half = float(t.ppf(0.975, len(each) - 1)) * jackknife(each)
    centre = math.fsum(whole.get(name, 0.0) for name in names)
    return max(0.0, centre - half), min(1.0, centre + half)
