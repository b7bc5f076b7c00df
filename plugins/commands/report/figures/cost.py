"""What a search costs, and how good its choice is (Table 3 of the study, drawn)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.measures import (
    Condition,
    Measure,
    by_searcher,
    conditions,
    mean_of,
    quality,
    uncounted,
)
from prunekit.plugins.commands.report.picture import LeftOut, Panel, Picture, without_gaps
from prunekit.plugins.commands.report.reading import Run, Study
from prunekit.plugins.commands.report.style import searcher_key, searcher_looks
from prunekit.plugins.commands.report.wording import count, number, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "cost", "Time against quality"
TICKS = 7


@dataclass(frozen=True)
class Price:
    """What a search would cost alone."""

    axis: str
    said: str
    of: Callable[[Run], float | None]


SECONDS = Price("search time alone (s)", "seconds", lambda run: run.result.seconds)
FORWARDS = Price("block forwards", "block forwards", lambda run: run.result.block_runs)


def cost(study: Study) -> Picture | LeftOut:
    """A panel for each objective, budget and model."""
    if len(study.searchers) < 2:
        return LeftOut(NAME, TITLE, f"there is one searcher only, {study.searchers[0]}")
    if not study.runs:
        return LeftOut(NAME, TITLE, "no search has finished")
    price = SECONDS if all(SECONDS.of(run) is not None for run in study.runs) else FORWARDS
    points = {c: _points(study, c, price) for c in conditions(study)}
    rows = [
        [
            _panel(study, c, price, points[c]) if points.get(c := Condition(m, o, k)) else None
            for m in study.models
        ]
        for o in study.objectives
        for k in study.budgets
    ]
    return Picture(
        NAME,
        TITLE,
        _sentence(study, price, points),
        "The cost is what the search would need alone, with nothing measured before; the bar is "
        "one standard deviation over seeds and draws." + _uncounted(study),
        without_gaps(rows),
        (2.9, 2.4),
        searcher_key(study.searchers),
    )


def _uncounted(study: Study) -> str:
    signals = uncounted(study)
    return f" Not counted: the signals of {signals}." if signals else ""


@dataclass(frozen=True)
class Point:
    """A searcher in one condition."""

    price: float
    quality: float
    deviation: float | None


def _points(study: Study, condition: Condition, price: Price) -> dict[str, Point]:
    found = by_searcher(study, quality(study, condition.objective), **vars(condition))
    points = {}
    for searcher, value in found.items():
        runs = study.where(searcher=searcher, **vars(condition))
        paid = [x for run in runs if (x := price.of(run)) is not None]
        if paid and math.isfinite(value.mean):
            points[searcher] = Point(mean_of(paid), value.mean, value.deviation)
    return points


def _sentence(study: Study, price: Price, points: dict[Condition, dict[str, Point]]) -> str:
    parts = []
    for objective in study.objectives:
        measure = quality(study, objective) if objective in study.units else None
        of_it = [
            found for c, found in points.items() if c.objective == objective and len(found) > 1
        ]
        if measure and of_it:
            parts.append(f"under {objective} {_bargain(measure, price, of_it)}")
    if not parts:
        return "Nowhere can two searchers be compared."
    return f"In the median over models and budgets, {'; '.join(parts)}."


def _bargain(measure: Measure, price: Price, conditions: list[dict[str, Point]]) -> str:
    paid, least, gains = [], [], []
    for found in conditions:
        cheapest = min(found.values(), key=lambda point: point.price)
        top = measure.best(point.quality for point in found.values())
        best = min((p for p in found.values() if p.quality == top), key=lambda point: point.price)
        paid.append(best.price)
        least.append(cheapest.price)
        gains.append(abs(best.quality - cheapest.quality))
    unit = f" {measure.points}" if measure.points else ""
    return (
        f"the searcher with the best {measure.name} needed {number(median(paid))} {price.said}, "
        f"the cheapest one {number(median(least))}, and was {number(median(gains), 2)}{unit} "
        f"better ({count(len(conditions), 'condition')})"
    )


def _panel(study: Study, c: Condition, price: Price, points: dict[str, Point]) -> Panel:
    measure = quality(study, c.objective)
    title = f"{study.short[c.model]}, {c.objective}, {together('k =', c.budget)}"
    alt = ", ".join(
        f"{s} {number(point.quality)} for {number(point.price)} {price.said}"
        for s, point in points.items()
    )
    return Panel(
        title, f"{title}, {measure.name}: {alt}", partial(_draw, study, measure, price, points)
    )


def _draw(
    study: Study, measure: Measure, price: Price, points: dict[str, Point], axes: Axes
) -> None:
    looks = searcher_looks(study.searchers)
    for searcher, point in points.items():
        look = looks[searcher]
        if point.deviation:
            axes.errorbar(
                point.price, point.quality, point.deviation, color=look["color"], linewidth=1.2
            )
        axes.plot(point.price, point.quality, **look, linestyle="none")
    axes.set(xlabel=price.axis, ylabel=measure.axis)
    axes.margins(0.08)
    _stretch([point.price for point in points.values()], axes)
    axes.grid(True)


def _stretch(prices: Sequence[float], axes: Axes) -> None:
    """Make the axis logarithmic; where a search costs nothing at all, only beyond the cheapest."""
    paid = [price for price in prices if price > 0]
    if not paid:
        return
    whole = len(paid) == len(prices)
    if whole:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=min(paid), linscale=0.5)
    low, high = axes.get_xlim()
    ticks = _round_numbers(low if whole else min(paid), high)
    axes.set_xticks(ticks if whole else [0, *ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.set_xlabel(f"{axes.get_xlabel()}, log scale{'' if whole else ' but for 0'}")


def _round_numbers(low: float, high: float) -> list[float]:
    """Ten, twenty, fifty, a hundred; powers of ten only where these would be too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    within = [value for value in fine if low <= value <= high]
    return within if len(within) <= TICKS else [x for x in within if x in {10.0**p for p in powers}]
