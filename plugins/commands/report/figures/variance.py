"""What the choice and its outcome vary with: objective, searcher, or mere draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.picture import LeftOut, Mark, Panel, Picture
from prunekit.plugins.commands.report.reading import Run, Study, on_every_seed
from prunekit.plugins.commands.report.style import BLUE, GREY, INK, ORANGE, YELLOW
from prunekit.plugins.commands.report.variance import (
    Components,
    block_components,
    number_components,
    pooled,
)
from prunekit.plugins.commands.report.wording import listed, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "variance", "What choice and outcome depend on"
LOOKS = {
    "objective": {"facecolor": BLUE, "hatch": ""},
    "searcher": {"facecolor": ORANGE, "hatch": "////"},
    "together": {"facecolor": YELLOW, "hatch": "xxxx"},
    "draw": {"facecolor": GREY, "hatch": "...."},
    "seed": {"facecolor": "#d9d9d9", "hatch": ""},
}
WORDS = {
    "objective": "objective",
    "searcher": "searcher",
    "together": "searcher, depending on objective",
    "draw": "calibration draw",
    "seed": "seed of the search",
}

LETTERS = 20
"""in a line beside a bar"""

CAUSES = {
    "the objective": ("objective",),
    "the searcher (by itself or depending on the objective)": ("searcher", "together"),
    "mere draw and seed": ("draw", "seed"),
}


@dataclass(frozen=True)
class Outcome:
    """Something whose variance is taken apart."""

    title: str
    said: str
    of: Callable[[Sequence[Run]], Components | None]


OUTCOMES = (
    Outcome("chosen blocks", "of the chosen blocks is due", block_components),
    Outcome(
        "average accuracy",
        "of the accuracy",
        lambda runs: number_components(runs, lambda run: run.scores.accuracy),
    ),
    Outcome(
        "logarithm of average perplexity",
        "of the logarithm of perplexity",
        lambda runs: number_components(runs, lambda run: _log(run.scores.perplexity)),
    ),
)
Bars = dict[str, Components]


def variance(study: Study) -> Picture | LeftOut:
    """A panel for each outcome, a bar for each model and budget, and one for all."""
    if len(study.objectives) == len(study.searchers) == 1:
        return LeftOut(NAME, TITLE, "there is one objective and one searcher only")
    if len(study.draws) < 2:
        reason = "there is one calibration draw only, so that mere chance cannot be told apart"
        return LeftOut(NAME, TITLE, reason)
    found = {outcome: variances(study, outcome) for outcome in OUTCOMES}
    shown = {outcome: bars for outcome, bars in found.items() if bars}
    if not shown:
        return LeftOut(NAME, TITLE, "no two finished searches differ in their draw alone")
    lines = max(1 + _label(bar).count("\n") for bars in shown.values() for bar in bars)
    names = [
        name for name in LOOKS if any(name in c.parts for b in shown.values() for c in b.values())
    ]
    return Picture(
        NAME,
        TITLE,
        _sentence(shown),
        "A bar is the variance between two runs of one model and budget, taken apart by what the "
        "two differ in. Draw and seed are the noise floor: repeats of a search differ by as much.",
        [[_panel(outcome, bars) for outcome, bars in shown.items()]],
        (3.3, 1.0 + (0.1 + 0.14 * lines) * max(map(len, shown.values()))),
        [Mark(WORDS[n], _look(n), is_patch=True) for n in names],
    )


def variances(study: Study, outcome: Outcome) -> Bars:
    """The components for each model and budget where they are known, and last for all of them."""
    groups = {
        f"{study.short[m]}, k = {k}": outcome.of(on_every_seed(study, model=m, budget=k))
        for m in study.models
        for k in study.budgets
    }
    bars = {name: parts for name, parts in groups.items() if parts is not None}
    whole = pooled(list(bars.values()))
    return {**bars, "all": whole} if whole is not None and len(bars) > 1 else bars


def _sentence(shown: dict[Outcome, Bars]) -> str:
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


def _panel(outcome: Outcome, bars: Bars) -> Panel:
    alt = "; ".join(
        f"{bar}: " + ", ".join(f"{WORDS[n]} {percent(x)}" for n, x in parts.shares.items())
        for bar, parts in bars.items()
    )
    return Panel(outcome.title, f"Variance of {outcome.title}. {alt}", partial(_draw, bars))


def _draw(bars: Bars, axes: Axes) -> None:
    for y, parts in enumerate(bars.values()):
        left = 0.0
        for name, share in parts.shares.items():
            axes.barh(y, 100 * share, 0.7, left, **_look(name))
            left += 100 * share
        if not left:
            axes.text(1, y, "no variance", va="center", style="italic")
    axes.set_yticks(range(len(bars)), [_label(bar) for bar in bars])
    axes.set(xlim=(0, 100), ylim=(len(bars) - 0.4, -0.6), xlabel="share of the variance (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _label(bar: str) -> str:
    return fill(bar.replace(" = ", "\u00a0=\u00a0"), LETTERS)


def _look(name: str) -> dict[str, Any]:
    return {**LOOKS[name], "edgecolor": INK, "linewidth": 0.5}


def _log(value: float | None) -> float | None:
    return None if value is None else math.log(value)
