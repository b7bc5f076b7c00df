"""How far apart searchers end within an objective (Figure 3 of the study)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean, variance
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.measures import (
    ACCURACY,
    PERPLEXITY,
    Condition,
    Measure,
    Summary,
    by_searcher,
    conditions,
    item_error,
)
from prunekit.plugins.commands.report.picture import LeftOut, Panel, Picture, without_gaps
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.spans import Spans, spans
from prunekit.plugins.commands.report.style import GREY, INK, searcher_key, searcher_looks
from prunekit.plugins.commands.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "spread", "Spread within an objective"
COLUMNS = 6
"""in one panel"""
Columns = dict[Condition, dict[str, Summary]]


def spread(study: Study) -> Picture | LeftOut:
    """A panel for each model, of accuracy above and of perplexity below.

    Where that would be too many columns, each objective has a panel of its own.
    """
    if len(study.searchers) < 2:
        return LeftOut(NAME, TITLE, f"there is one searcher only, {study.searchers[0]}")
    n_columns = len(study.objectives) * len(study.budgets)
    together = n_columns <= COLUMNS
    rows = [
        [_panel(study, m, measure, objectives) for m in study.models]
        for measure in (ACCURACY, PERPLEXITY)
        for objectives in ([study.objectives] if together else [[o] for o in study.objectives])
    ]
    shown = without_gaps(rows)
    if not shown:
        return LeftOut(NAME, TITLE, "no variant was evaluated")
    return Picture(
        NAME,
        TITLE,
        _sentence(study),
        "A column is an objective and a budget k; the band reaches from the worst searcher to the "
        "best, the line is their mean, σ² the variance between searchers, of the means over their "
        "seeds and draws." + _error(study),
        shown,
        (max(2.9, 0.9 + 0.55 * (n_columns if together else len(study.budgets))), 2.7),
        searcher_key(study.searchers),
    )


def _error(study: Study) -> str:
    error = item_error(study)
    if not error:
        return ""
    return f" Over its items an average accuracy has a standard error of {number(error, 2)} points."


def _sentence(study: Study) -> str:
    parts = [
        _said(measure, found)
        for measure in (ACCURACY, PERPLEXITY)
        if (found := spans(study, measure)).searcher
    ]
    if not parts:
        return "Nowhere have two searchers been evaluated under the same objective and budget."
    return f"With everything else the same, {'; '.join(parts)}."


def _said(measure: Measure, found: Spans) -> str:
    unit = f" {measure.points}" if measure.points else ""
    said = (
        f"the best and the worst searcher are {number(min(found.searcher))} to "
        f"{number(max(found.searcher))}{unit} of {measure.name} apart (on average "
        f"{number(fmean(found.searcher))})"
    )
    if found.objective:
        said += f", two objectives {number(fmean(found.objective))} in the mean over searchers"
    return said


def _panel(study: Study, model: str, measure: Measure, objectives: Sequence[str]) -> Panel | None:
    columns = {
        c: {s: x for s, x in found.items() if x.mean < float("inf")}
        for c in conditions(study)
        if c.model == model
        and c.objective in objectives
        and (found := by_searcher(study, measure, **vars(c)))
    }
    columns = {c: found for c, found in columns.items() if found}
    if not columns:
        return None
    alt = "; ".join(
        f"{c.objective}, k = {c.budget}: {number(min(x.mean for x in found.values()))} to "
        f"{number(max(x.mean for x in found.values()))}"
        for c, found in columns.items()
    )
    title = f"{study.short[model]}: {measure.name}"
    if len(objectives) < len(study.objectives):
        title += f" under {objectives[0]}"
    return Panel(title, f"{title}. {alt}", partial(_draw, study, measure, columns))


def _draw(study: Study, measure: Measure, columns: Columns, axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    looks = searcher_looks(study.searchers)
    for x, found in enumerate(columns.values()):
        values = [point.mean for point in found.values()]
        low, high, mean = min(values), max(values), fmean(values)
        axes.fill_between([x - 0.42, x + 0.42], low, high, color=GREY, alpha=0.2, linewidth=0)
        axes.plot([x - 0.42, x + 0.42], [mean, mean], color=INK, linewidth=1)
        if len(values) > 1:
            note = f"σ² {number(variance(values), 2)}"
            axes.annotate(note, (x, high), (0, 5), textcoords="offset points", ha="center", size=7)
        for searcher, point in found.items():
            aside = (study.searchers.index(searcher) + 0.5) / len(study.searchers) - 0.5
            axes.plot(x + 0.7 * aside, point.mean, **looks[searcher], linestyle="none")
    names = [f"{c.objective}\nk = {c.budget}" for c in columns]
    axes.set_xticks(range(len(names)), names)
    axes.set(xlim=(-0.6, len(names) - 0.4), ylabel=measure.axis)
    if measure.logarithmic:
        axes.set_yscale("log")
        axes.set_ylabel(f"{measure.axis} (log scale)")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.14)
    if measure.logarithmic:
        bottom, top = axes.get_ylim()
        steps = LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)) if top > 2 * bottom else MaxNLocator(6)
        axes.yaxis.set_major_locator(steps)
    axes.grid(True, axis="y")
