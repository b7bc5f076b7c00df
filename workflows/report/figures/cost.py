"""What a search costs, and how good its choice is (Table 3 of the study, drawn)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from prunekit.workflows.report.measures import (
    Condition,
    Measure,
    by_searcher,
    conditions,
    quality,
    summarise,
)
from prunekit.workflows.report.picture import LeftOut, Panel, Picture
from prunekit.workflows.report.reading import Run, Study
from prunekit.workflows.report.style import searcher_key, searcher_looks
from prunekit.workflows.report.wording import count, number, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "cost", "Time against quality"


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
        "one standard deviation over seeds and draws.",
        [row for row in rows if any(row)],
        (2.9, 2.4),
        searcher_key(study.searchers),
    )


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
        paid = summarise(price.of(run) for run in runs)
        if paid and math.isfinite(value.mean):
            points[searcher] = Point(paid.mean, value.mean, value.deviation)
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
    times, gains = [], []
    for found in conditions:
        cheapest = min(found.values(), key=lambda point: point.price)
        top = measure.best(point.quality for point in found.values())
        best = min((p for p in found.values() if p.quality == top), key=lambda point: point.price)
        times.append(best.price / cheapest.price if cheapest.price else 1.0)
        gains.append(abs(best.quality - cheapest.quality))
    unit = f" {measure.points}" if measure.points else ""
    return (
        f"the searcher with the best {measure.name} needed {number(median(times), 2)} times the "
        f"{price.said} of the cheapest one and was {number(median(gains), 2)}{unit} better "
        f"({count(len(conditions), 'condition')})"
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
    from matplotlib.ticker import LogLocator, NullFormatter

    looks = searcher_looks(study.searchers)
    for searcher, point in points.items():
        look = looks[searcher]
        if point.deviation:
            axes.errorbar(
                point.price, point.quality, point.deviation, color=look["color"], linewidth=1.2
            )
        axes.plot(point.price, point.quality, **look, linestyle="none")
    axes.set(xscale="log", xlabel=f"{price.axis}, log scale", ylabel=measure.axis)
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    if high / low < 60:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.margins(0.08)
    axes.grid(True)
