"""The figures of outcomes: what they depend on, how ranks agree, how far searchers are apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from statistics import fmean
from statistics import variance as variance_of
from textwrap import fill
from typing import TYPE_CHECKING, Any

from prunekit.engine.paired import LEVEL
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure, name_lines
from prunekit.plugins.commands.report.intervals import interval, shares_without_each
from prunekit.plugins.commands.report.measures import (
    ACCURACY,
    PERPLEXITY,
    Condition,
    Measure,
    conditions,
    finite,
    item_error,
    points,
    spans,
)
from prunekit.plugins.commands.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    YELLOW,
    searcher_looks,
)
from prunekit.plugins.commands.report.telling import not_the_best
from prunekit.plugins.commands.report.ticks import label, log_ticks, set_ticks
from prunekit.plugins.commands.report.variance import OUTCOMES, Bars, Outcome, variances
from prunekit.plugins.commands.report.wording import count, listed, number, percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "objective": ("objective", {"facecolor": BLUE, "hatch": ""}),
    "calibration": ("calibration", {"facecolor": GREEN, "hatch": "\\\\\\\\"}),
    "calibration by objective": (
        "calibration, depending on objective",
        {"facecolor": PURPLE, "hatch": "++++"},
    ),
    "searcher": ("searcher", {"facecolor": ORANGE, "hatch": "////"}),
    "together": ("searcher, depending on {factors}", {"facecolor": YELLOW, "hatch": "xxxx"}),
    "draw": ("calibration draw", {"facecolor": GREY, "hatch": "...."}),
    "seed": ("seed of the search", {"facecolor": "#d9d9d9", "hatch": ""}),
}
EDGE: dict[str, Any] = {"edgecolor": INK, "linewidth": 0.5}
LETTERS = 20
"""in a line beside a bar"""


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
        _variance_sentence(study, shown),
        "A bar is the variance between two runs of one model and budget, split by what the "
        "two differ in. Draw and seed are the noise floor: repeats of a search differ by as much. "
        "In brackets: 95% intervals by the jackknife over models and budgets, or over draws.",
        facets([None], list(shown), lambda _, outcome: _variance_panel(outcome, shown[outcome])),
        (3.3, 1.0 + (0.1 + 0.14 * lines) * max(map(len, shown.values()))),
        {_words(part, there): {**PARTS[part][1], **EDGE} for part in PARTS if part in there},
    )


def _variance_sentence(study: Study, shown: Mapping[Outcome, Bars]) -> str:
    parts = []
    for outcome, bars in shown.items():
        last, components = list(bars.items())[-1]
        shares = components.shares
        without = shares_without_each(study, outcome, bars).get(last, [])
        said = [
            f"for {_share(shares, without, names)} to {words}"
            for words, names in _causes(shares).items()
        ]
        parts.append(f"{outcome.said} {listed(said)}")
    return f"Over all models and budgets, the variance {'; that '.join(parts)}."


def _causes(there: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the parts that the sentence adds up, by what it calls them."""
    by_objective = "calibration by objective"
    depending = " (by itself or depending on the objective)" if by_objective in there else ""
    causes = {
        "the objective": ("objective",),
        f"the calibration{depending}": ("calibration", by_objective),
        f"the searcher (by itself or depending on the {_factors(there)})": ("searcher", "together"),
        "mere draw and seed": ("draw", "seed"),
    }
    return {words: names for words, names in causes.items() if set(names) & set(there)}


def _words(part: str, there: Collection[str]) -> str:
    return PARTS[part][0].format(factors=_factors(there))


def _factors(there: Collection[str]) -> str:
    """Name that on which the effect of a searcher can depend."""
    varying = [name for name in ("objective", "calibration") if name in there]
    return " or ".join(varying) or "objective"


def _share(
    shares: Mapping[str, float], without: Sequence[Mapping[str, float]], names: Sequence[str]
) -> str:
    ends = interval(shares, without, *names)
    share = percent(sum(shares.get(name, 0.0) for name in names))
    return f"{share} ({100 * ends[0]:.0f}% to {100 * ends[1]:.0f}%)" if ends else share


def _variance_panel(outcome: Outcome, bars: Bars) -> Panel:
    alt = "; ".join(
        f"{bar}: "
        + ", ".join(f"{_words(n, parts.shares)} {percent(x)}" for n, x in parts.shares.items())
        for bar, parts in bars.items()
    )
    title = fill(outcome.title, LETTERS)  # the labels at its left take half of a panel
    return Panel(title, f"Variance of {outcome.title}. {alt}", partial(_variance, bars))


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


ROOM = 1.6
"""inches of an upright axis in a panel"""
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
        )
        + _guessing(study),
        grid,
        (max(2.9, 0.9 + 0.55 * (n_columns if whole else len(study.budgets))), 2.7),
        searcher_looks(study.searchers),
    )


def _guessing(study: Study) -> str:
    known = [study.chances.get(column) for column in study.tasks.values()]
    chances = [chance for chance in known if chance is not None]
    if not chances or len(chances) < len(known):
        return ""
    return f" Guessing has an average accuracy of {number(fmean(chances))}%."


def _spread_sentence(study: Study) -> str:
    parts = []
    for measure in (ACCURACY, PERPLEXITY):
        found = spans(study, measure)
        if found.searcher:
            unit = f" {measure.points}" if measure.points else ""
            said = f"two searchers are on average {number(fmean(found.searcher))}"
            if found.objective:
                said += f", two objectives {number(fmean(found.objective))}"
            parts.append(
                f"{said}{unit} of {measure.name} apart (the best and the worst of all searchers "
                f"{number(min(found.range))} to {number(max(found.range))})"
            )
    if not parts:
        return "Nowhere have two searchers been evaluated under the same objective and budget."
    return f"With everything else the same, {'; '.join(parts)}.{_unsure_sentence(study)}"


def _unsure_sentence(study: Study) -> str:
    """Say in how many conditions the best searcher does not differ significantly from another."""
    parts = []
    for measure in (ACCURACY, PERPLEXITY):
        found = [
            not_the_best(study, c, measure.column, measure.more_is_better)
            for c in conditions(study)
        ]
        tested = [p_values for p_values in found if p_values]
        if tested:
            unsure = sum(max(p_values.values()) >= LEVEL for p_values in tested)
            parts.append(
                f"the best {measure.name} in {unsure} of {count(len(tested), 'condition')}"
            )
    if not parts:
        return ""
    return f" Over the items, {listed(parts)} cannot be told apart from another at 5%."


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
            note = f"σ² {label(variance_of(values), 2)}"
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
    axes.set_yscale("log")
    axes.set_ylabel(f"{axes.get_ylabel()} (log scale)")
    low, high = axes.get_ylim()
    set_ticks(axes, "y", log_ticks(low, high, ROOM, upright=True))
    axes.set_ylim(low, high)
