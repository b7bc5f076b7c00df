"""The figures of costs: what a search costs, and what each further block costs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure
from prunekit.plugins.commands.report.measures import (
    Condition,
    Measure,
    conditions,
    finite,
    points,
    quality,
    uncounted,
)
from prunekit.plugins.commands.report.style import searcher_looks
from prunekit.plugins.commands.report.ticks import stretch
from prunekit.plugins.commands.report.wording import count, listed, number, together

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ROOM = 1.9
"""inches of an axis in a panel"""


class Price(NamedTuple):
    """The cost of a search alone."""

    axis: str
    unit: str
    column: str


SECONDS = Price("search time alone (s)", "seconds", "seconds")
FORWARDS = Price("block forwards", "block forwards", "block_runs")


@figure("Time against quality")
def cost(study: Study) -> Picture | str:
    """Draw a panel for each objective, budget and model (Table 3)."""
    if len(study.searchers) < 2:
        return f"there is one searcher only, {study.searchers[0]}"
    if study.runs.empty:
        return "no search has finished"
    price = SECONDS if study.runs["seconds"].notna().all() else FORWARDS
    found = {c: of for c in conditions(study) if len(of := _priced(study, c, price))}

    def panel(row: tuple[str, int], model: str) -> Panel | None:
        condition = Condition(model, *row)
        return (
            _cost_panel(study, condition, price, found[condition]) if condition in found else None
        )

    signals = uncounted(study.runs)
    return Picture(
        _cost_sentence(study, price, found),
        "The cost is what the search would need alone, with nothing measured before; the bar is "
        "one standard deviation over seeds and draws."
        + (f" Not counted: the signals of {signals}." if signals else ""),
        facets([(o, k) for o in study.objectives for k in study.budgets], study.models, panel),
        (2.9, 2.4),
        searcher_looks(study.searchers),
    )


def _priced(study: Study, condition: Condition, price: Price) -> pd.DataFrame:
    """Return the points of a condition with their mean price."""
    fixed = condition._asdict()
    prices = points(study, price.column, **fixed)["mean"]
    column = quality(study, condition.objective).column
    found = finite(points(study, column, **fixed))
    return found.assign(price=prices.reindex(found.index)).dropna(subset=["price"])


def _cost_sentence(study: Study, price: Price, found: Mapping[Condition, pd.DataFrame]) -> str:
    parts = []
    for objective in study.objectives:
        of_it = [of for c, of in found.items() if c.objective == objective and len(of) > 1]
        if of_it:
            parts.append(f"under {objective} {_bargain(quality(study, objective), price, of_it)}")
    if not parts:
        return "Nowhere can two searchers be compared."
    return f"In the median over models and budgets, {'; '.join(parts)}."


def _bargain(measure: Measure, price: Price, found: Sequence[pd.DataFrame]) -> str:
    paid, least, gains = [], [], []
    for of in found:
        cheapest = of.loc[of["price"].idxmin()]
        top = of[of["mean"] == measure.best(of["mean"])]
        best = top.loc[top["price"].idxmin()]
        paid.append(best["price"])
        least.append(cheapest["price"])
        gains.append(abs(best["mean"] - cheapest["mean"]))
    unit = f" {measure.points}" if measure.points else ""
    return (
        f"the searcher with the best {measure.name} needed {number(median(paid))} {price.unit}, "
        f"the cheapest one {number(median(least))}, and was {number(median(gains), 2)}{unit} "
        f"better ({count(len(found), 'condition')})"
    )


def _cost_panel(study: Study, c: Condition, price: Price, found: pd.DataFrame) -> Panel:
    measure = quality(study, c.objective)
    title = f"{study.short[c.model]}, {c.objective}, {together('k =', c.budget)}"
    alt = ", ".join(
        f"{of.Index} {number(of.mean)} for {number(of.price)} {price.unit}"
        for of in found.itertuples()
    )
    draw = partial(_cost, study, measure, price, found)
    return Panel(title, f"{title}, {measure.name}: {alt}", draw)


def _cost(study: Study, measure: Measure, price: Price, found: pd.DataFrame, axes: Axes) -> None:
    looks = searcher_looks(study.searchers)
    for of in found.itertuples():
        look = looks[of.Index]
        if of.deviation > 0:
            axes.errorbar(of.price, of.mean, of.deviation, color=look["color"], linewidth=1.2)
        axes.plot(of.price, of.mean, **look)
    axes.set(xlabel=price.axis, ylabel=measure.axis)
    axes.margins(0.08)
    stretch(axes, found["price"].tolist(), ROOM)
    axes.grid(True)


@figure("Loss against budget")
def budgets(study: Study) -> Picture | str:
    """Draw a panel for each objective and model, a line for each searcher."""
    if len(study.budgets) < 2:
        return f"there is one budget only, {study.budgets[0]}"
    means = study.means[study.means["difference"].abs() < math.inf]
    lines = means.groupby(["objective", "model", "searcher"]).filter(lambda of: len(of) > 1)
    if lines.empty:
        return "no searcher has finished with two budgets"

    def panel(objective: str, model: str) -> Panel | None:
        found = lines[(lines["objective"] == objective) & (lines["model"] == model)]
        by_searcher = [(s, of) for s in study.searchers if len(of := found[found["searcher"] == s])]
        title = f"{study.short[model]}, {objective}"
        alt = "; ".join(
            f"{searcher}: "
            + ", ".join(
                f"{number(of.difference)} at {of.budget} blocks" for of in line.itertuples()
            )
            for searcher, line in by_searcher
        )
        draw = partial(_budgets, study, study.units.get(objective, ""), by_searcher)
        return Panel(title, f"{title}. {alt}", draw) if by_searcher else None

    return Picture(
        _budgets_sentence(study, lines),
        "Calibration loss of the chosen subset above that of the dense model; the bar is one "
        "standard deviation over seeds and draws.",
        facets(study.objectives, study.models, panel),
        (2.9, 2.4),
        searcher_looks(study.searchers, line="-"),
    )


def _budgets_sentence(study: Study, lines: pd.DataFrame) -> str:
    parts = []
    for objective in study.objectives:
        of_it = lines[lines["objective"] == objective]
        wide = of_it.pivot(index=["model", "searcher"], columns="budget", values="difference")
        steps = []
        for a, b in itertools.pairwise(study.budgets):
            pairs = wide.reindex(columns=[a, b]).dropna()
            if len(pairs):
                before, after = (number(fmean(pairs[k]), 2) for k in (a, b))
                steps.append(f"from {before} at {a} blocks to {after} at {b}")
        if steps:
            parts.append(f"under {objective} {listed(steps)} ({study.units[objective]})")
    if not parts:
        return "Nowhere can two neighbouring budgets be compared."
    return f"On average over models and searchers, the loss above dense goes {listed(parts)}."


def _budgets(
    study: Study, unit: str, lines: Sequence[tuple[str, pd.DataFrame]], axes: Axes
) -> None:
    looks = searcher_looks(study.searchers, line="-")
    step = min(b - a for a, b in itertools.pairwise(study.budgets))
    for i, (searcher, line) in enumerate(lines):
        x = line["budget"] + 0.25 * step * ((i + 0.5) / len(lines) - 0.5)
        bars = line["difference ±"].fillna(0.0)
        look = {**looks[searcher], "linewidth": 1.2, "elinewidth": 0.8}
        axes.errorbar(x, line["difference"], bars, **look)
    axes.set_xticks(study.budgets)
    axes.set(xlabel="blocks removed", ylabel=f"loss above dense\n({unit})")
    axes.margins(x=0.12)
    axes.grid(True, axis="y")
