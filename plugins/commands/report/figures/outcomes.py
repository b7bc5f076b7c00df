"""The figures of outcomes: what they depend on, how ranks agree, how far searchers are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, median
from statistics import variance as variance_of
from textwrap import fill
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure, name_lines
from prunekit.plugins.commands.report.measures import (
    ACCURACY,
    PERPLEXITY,
    Condition,
    Measure,
    RankComparison,
    compare_ranks,
    conditions,
    finite,
    item_error,
    points,
    spans,
)
from prunekit.plugins.commands.report.style import BLUE, GREY, INK, ORANGE, YELLOW, searcher_looks
from prunekit.plugins.commands.report.variance import OUTCOMES, Bars, Outcome, variances
from prunekit.plugins.commands.report.wording import count, listed, number, percent, together

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "objective": ("objective", {"facecolor": BLUE, "hatch": ""}),
    "searcher": ("searcher", {"facecolor": ORANGE, "hatch": "////"}),
    "together": ("searcher, depending on objective", {"facecolor": YELLOW, "hatch": "xxxx"}),
    "draw": ("calibration draw", {"facecolor": GREY, "hatch": "...."}),
    "seed": ("seed of the search", {"facecolor": "#d9d9d9", "hatch": ""}),
}
EDGE: dict[str, Any] = {"edgecolor": INK, "linewidth": 0.5}
LETTERS = 20
"""in a line beside a bar"""
CAUSES = {
    "the objective": ("objective",),
    "the searcher (by itself or depending on the objective)": ("searcher", "together"),
    "mere draw and seed": ("draw", "seed"),
}


@figure("What choice and outcome depend on")
def variance(study: Study) -> Picture | str:
    """Draw a panel for each outcome, a bar for each model and budget, and one for all."""
    if len(study.objectives) == len(study.searchers) == 1:
        return "there is one objective and one searcher only"
    if len(study.draws) < 2:
        return "there is one calibration draw only, so chance cannot be separated from the rest"
    shown = {outcome: bars for outcome in OUTCOMES if (bars := variances(study, outcome))}
    if not shown:
        return "no two finished searches differ in their draw alone"
    lines = max(1 + _label(bar).count("\n") for bars in shown.values() for bar in bars)
    there = {name for bars in shown.values() for parts in bars.values() for name in parts.parts}
    return Picture(
        _variance_sentence(shown),
        "A bar is the variance between two runs of one model and budget, split by what the "
        "two differ in. Draw and seed are the noise floor: repeats of a search differ by as much.",
        facets([None], list(shown), lambda _, outcome: _variance_panel(outcome, shown[outcome])),
        (3.3, 1.0 + (0.1 + 0.14 * lines) * max(map(len, shown.values()))),
        {words: {**look, **EDGE} for name, (words, look) in PARTS.items() if name in there},
    )


def _variance_sentence(shown: Mapping[Outcome, Bars]) -> str:
    parts = []
    for outcome, bars in shown.items():
        shares = list(bars.values())[-1].shares
        said = [
            f"for {percent(sum(shares.get(name, 0.0) for name in names))} to {words}"
            for words, names in CAUSES.items()
            if set(names) & set(shares)
        ]
        parts.append(f"{outcome.said} {listed(said)}")
    return f"Over all models and budgets, the variance {'; that '.join(parts)}."


def _variance_panel(outcome: Outcome, bars: Bars) -> Panel:
    alt = "; ".join(
        f"{bar}: " + ", ".join(f"{PARTS[n][0]} {percent(x)}" for n, x in parts.shares.items())
        for bar, parts in bars.items()
    )
    return Panel(outcome.title, f"Variance of {outcome.title}. {alt}", partial(_variance, bars))


def _variance(bars: Bars, axes: Axes) -> None:
    for y, parts in enumerate(bars.values()):
        left = 0.0
        for name, share in parts.shares.items():
            axes.barh(y, 100 * share, 0.7, left, **PARTS[name][1], **EDGE)
            left += 100 * share
        if not left:
            axes.text(1, y, "no variance", va="center", style="italic")
    axes.set(xlim=(0, 100), ylim=(len(bars) - 0.4, -0.6), xlabel="share of the variance (%)")
    name_lines(axes, {y: _label(bar) for y, bar in enumerate(bars)})


def _label(bar: str) -> str:
    return fill(bar.replace(" = ", "\u00a0=\u00a0"), LETTERS)


@figure("Perplexity rank against accuracy rank")
def ranks(study: Study) -> Picture | str:
    """Draw a panel for each objective, budget and model, with Spearman's rho (Figure 2)."""
    if not study.tasks or not study.protocols:
        return f"no variant's {'perplexity' if study.tasks else 'accuracy'} was evaluated"
    found = {c: comparison for c in conditions(study) if (comparison := compare_ranks(study, c))}
    if not found:
        return "nowhere do three searchers have both an accuracy and a perplexity"

    def panel(row: tuple[str, int], model: str) -> Panel | None:
        condition = Condition(model, *row)
        return _ranks_panel(study, condition, found[condition]) if condition in found else None

    return Picture(
        _ranks_sentence(list(found.values())),
        "Rank 1 is best; on the dotted line both ranks agree. Searchers that tie share a rank and "
        "are drawn side by side. p is the share of all orders that correlate as strongly; those "
        "that chose the same blocks tie by necessity, which p ignores.",
        facets([(o, k) for o in study.objectives for k in study.budgets], study.models, panel),
        (2.9, 2.6),
        searcher_looks(study.searchers),
    )


def _ranks_sentence(comparisons: Sequence[RankComparison]) -> str:
    rhos = [c.rho for c in comparisons if c.rho is not None]
    if not rhos:
        return "All searchers tie, so that there is no rank to correlate."
    strong = sum(c.p is not None and c.p < 0.05 for c in comparisons)
    tied = len(comparisons) - len(rhos)
    negative = sum(rho < 0 for rho in rhos)
    return (
        f"Spearman's ρ goes from {min(rhos):+.2f} to {max(rhos):+.2f}, with a median of "
        f"{median(rhos):+.2f}; it is negative in {negative} of {count(len(rhos), 'condition')}, "
        f"and in {strong} so strong that fewer than 5% of all orders would reach it"
        + (f" (in {tied} more all searchers tie)." if tied else ".")
    )


def _ranks_panel(study: Study, c: Condition, found: RankComparison) -> Panel:
    where = f"{study.short[c.model]}, {c.objective}, {together('k =', c.budget)}"
    p = 1.0 if found.p is None else found.p
    chance = f"p = {p:.2f}" if p >= 0.01 else "p < 0.01"
    rho = "ρ undefined: all tie" if found.rho is None else f"ρ = {found.rho:+.2f}, {chance}"
    ranked = zip(found.searchers, found.perplexity, found.accuracy, strict=True)
    places = ", ".join(f"{s} {x:g} and {y:g}" for s, x, y in ranked)
    alt = f"{where}: {rho}. Ranks by perplexity and by accuracy: {places}"
    return Panel(f"{where}\n{rho}", alt, partial(_ranks, study, found))


def _ranks(study: Study, found: RankComparison, axes: Axes) -> None:
    looks = searcher_looks(study.searchers)
    n = len(found.searchers)
    places = list(zip(found.perplexity, found.accuracy, strict=True))
    axes.plot([1, n], [1, n], ":", color=GREY, linewidth=1, zorder=1)
    for i, (searcher, (x, y)) in enumerate(zip(found.searchers, places, strict=True)):
        same = [j for j, place in enumerate(places) if place == (x, y)]
        aside = 0.3 * (same.index(i) - (len(same) - 1) / 2)
        axes.plot(x + aside, y, **looks[searcher])
    ticks = range(1, n + 1)
    axes.set(xlim=(0.4, n + 0.6), ylim=(n + 0.6, 0.4), xticks=ticks, yticks=ticks)
    axes.set(xlabel="perplexity rank (1 = lowest)", ylabel="accuracy rank (1 = highest)")
    axes.grid(True)


COLUMNS = 6
"""in one panel"""


@figure("Spread within an objective")
def spread(study: Study) -> Picture | str:
    """Draw a panel for each model, of accuracy above and of perplexity below (Figure 3).

    If that would be too many columns, each objective has a panel of its own.
    """
    if len(study.searchers) < 2:
        return f"there is one searcher only, {study.searchers[0]}"
    n_columns = len(study.objectives) * len(study.budgets)
    whole = n_columns <= COLUMNS
    objectives = [study.objectives] if whole else [[o] for o in study.objectives]
    grid = facets(
        [(measure, of) for measure in (ACCURACY, PERPLEXITY) for of in objectives],
        study.models,
        lambda row, model: _spread_panel(study, model, *row),
    )
    if not grid:
        return "no variant was evaluated"
    error = item_error(study.runs)
    return Picture(
        _spread_sentence(study),
        "A column is an objective and a budget k; the band reaches from the worst searcher to the "
        "best, the line is their mean, σ² the variance between searchers, of the means over their "
        "seeds and draws."
        + (
            " Over its items an average accuracy has a standard error of "
            f"{number(error, 2)} points."
            if error
            else ""
        ),
        grid,
        (max(2.9, 0.9 + 0.55 * (n_columns if whole else len(study.budgets))), 2.7),
        searcher_looks(study.searchers),
    )


def _spread_sentence(study: Study) -> str:
    parts = []
    for measure in (ACCURACY, PERPLEXITY):
        searcher, objective = spans(study, measure)
        if searcher:
            unit = f" {measure.points}" if measure.points else ""
            said = (
                f"the best and the worst searcher are {number(min(searcher))} to "
                f"{number(max(searcher))}{unit} of {measure.name} apart (on average "
                f"{number(fmean(searcher))})"
            )
            if objective:
                said += f", two objectives {number(fmean(objective))} in the mean over searchers"
            parts.append(said)
    if not parts:
        return "Nowhere have two searchers been evaluated under the same objective and budget."
    return f"With everything else the same, {'; '.join(parts)}."


def _spread_panel(
    study: Study, model: str, measure: Measure, objectives: Sequence[str]
) -> Panel | None:
    columns = {
        c: found
        for c in conditions(study)
        if c.model == model and c.objective in objectives
        if len(found := finite(points(study, measure.column, **c._asdict())))
    }
    if not columns:
        return None
    alt = "; ".join(
        f"{c.objective}, k = {c.budget}: "
        f"{number(min(found['mean']))} to {number(max(found['mean']))}"
        for c, found in columns.items()
    )
    title = f"{study.short[model]}: {measure.name}"
    if len(objectives) < len(study.objectives):
        title += f" under {objectives[0]}"
    return Panel(title, f"{title}. {alt}", partial(_spread, study, measure, columns))


def _spread(
    study: Study, measure: Measure, columns: Mapping[Condition, pd.DataFrame], axes: Axes
) -> None:
    looks = searcher_looks(study.searchers)
    for x, found in enumerate(columns.values()):
        values = found["mean"].tolist()
        low, high, mean = min(values), max(values), fmean(values)
        axes.fill_between([x - 0.42, x + 0.42], low, high, color=GREY, alpha=0.2, linewidth=0)
        axes.plot([x - 0.42, x + 0.42], [mean, mean], color=INK, linewidth=1)
        if len(values) > 1:
            note = f"σ² {number(variance_of(values), 2)}"
            axes.annotate(note, (x, high), (0, 5), textcoords="offset points", ha="center", size=7)
        for searcher, y in found["mean"].items():
            aside = (study.searchers.index(searcher) + 0.5) / len(study.searchers) - 0.5
            axes.plot(x + 0.7 * aside, y, **looks[searcher])
    names = [f"{c.objective}\nk = {c.budget}" for c in columns]
    axes.set_xticks(range(len(names)), names)
    axes.set(xlim=(-0.6, len(columns) - 0.4), ylabel=measure.axis)
    axes.margins(y=0.14)
    axes.grid(True, axis="y")
    if measure.logarithmic:
        _logarithmic(axes)


def _logarithmic(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    axes.set_yscale("log")
    axes.set_ylabel(f"{axes.get_ylabel()} (log scale)")
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    bottom, top = axes.get_ylim()
    steps = LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)) if top > 2 * bottom else MaxNLocator(6)
    axes.yaxis.set_major_locator(steps)
