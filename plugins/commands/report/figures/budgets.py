"""What each further block costs."""

from __future__ import annotations

import itertools
import math
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.measures import Summary, by_searcher, loss_in
from prunekit.plugins.commands.report.picture import LeftOut, Panel, Picture, without_gaps
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.style import searcher_key, searcher_looks
from prunekit.plugins.commands.report.wording import listed, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "budgets", "Loss against budget"
Lines = dict[str, dict[int, Summary]]


def budgets(study: Study) -> Picture | LeftOut:
    """A panel for each objective and model, a line for each searcher."""
    if len(study.budgets) < 2:
        return LeftOut(NAME, TITLE, f"there is one budget only, {study.budgets[0]}")
    lines = {(o, m): _lines(study, o, m) for o in study.objectives for m in study.models}
    if not any(lines.values()):
        return LeftOut(NAME, TITLE, "no searcher has finished with two budgets")
    rows = [
        [_panel(study, o, m, lines[o, m]) if lines[o, m] else None for m in study.models]
        for o in study.objectives
    ]
    return Picture(
        NAME,
        TITLE,
        _sentence(study, lines),
        "Calibration loss of the chosen subset above that of the dense model; the bar is one "
        "standard deviation over seeds and draws.",
        without_gaps(rows),
        (2.9, 2.4),
        searcher_key(study.searchers, line=True),
    )


def _lines(study: Study, objective: str, model: str) -> Lines:
    lines: Lines = {searcher: {} for searcher in study.searchers}
    for budget in study.budgets:
        fixed = {"objective": objective, "model": model, "budget": budget}
        for searcher, found in by_searcher(study, loss_in(""), **fixed).items():
            if math.isfinite(found.mean):
                lines[searcher][budget] = found
    return {searcher: line for searcher, line in lines.items() if len(line) > 1}


def _sentence(study: Study, lines: dict[tuple[str, str], Lines]) -> str:
    parts = []
    for objective in study.objectives:
        steps = [
            f"from {number(fmean(before), 2)} at {a} blocks to {number(fmean(after), 2)} at {b}"
            for a, b in itertools.pairwise(study.budgets)
            if (pairs := _pairs(lines, objective, a, b))
            for before, after in [zip(*pairs, strict=True)]
        ]
        if steps:
            parts.append(f"under {objective} {listed(steps)} ({study.units[objective]})")
    return f"On average over models and searchers, the loss above dense goes {listed(parts)}."


def _pairs(
    lines: dict[tuple[str, str], Lines], objective: str, a: int, b: int
) -> list[tuple[float, float]]:
    return [
        (line[a].mean, line[b].mean)
        for (of_objective, _), of_model in lines.items()
        if of_objective == objective
        for line in of_model.values()
        if a in line and b in line
    ]


def _panel(study: Study, objective: str, model: str, lines: Lines) -> Panel:
    title = f"{study.short[model]}, {objective}"
    alt = "; ".join(
        f"{searcher}: " + ", ".join(f"{number(x.mean)} at {k} blocks" for k, x in line.items())
        for searcher, line in lines.items()
    )
    return Panel(title, f"{title}. {alt}", partial(_draw, study, study.units[objective], lines))


def _draw(study: Study, unit: str, lines: Lines, axes: Axes) -> None:
    looks = searcher_looks(study.searchers)
    step = min(b - a for a, b in itertools.pairwise(study.budgets))
    for i, (searcher, line) in enumerate(lines.items()):
        aside = 0.25 * step * ((i + 0.5) / len(lines) - 0.5)
        x = [budget + aside for budget in line]
        y = [found.mean for found in line.values()]
        bars = [found.deviation or 0.0 for found in line.values()]
        axes.errorbar(x, y, bars, **looks[searcher], linewidth=1.2, elinewidth=0.8)
    axes.set_xticks(study.budgets)
    axes.set(xlabel="blocks removed", ylabel=f"loss above dense\n({unit})")
    axes.margins(x=0.12)
    axes.grid(True, axis="y")
