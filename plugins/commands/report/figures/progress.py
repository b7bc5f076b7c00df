"""The figure of the best loss so far against what a search has cost until then."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure
from prunekit.plugins.commands.report.measures import Condition, conditions, uncounted
from prunekit.plugins.commands.report.progress import Curve, curves, share_until_last
from prunekit.plugins.commands.report.style import searcher_looks
from prunekit.plugins.commands.report.ticks import stretch
from prunekit.plugins.commands.report.wording import listed, number, percent, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOM = 1.9
"""inches of an axis in a panel"""


@figure("Best loss so far against block forwards")
def best_so_far(study: Study) -> Picture | str:
    """Draw a panel for each objective, budget and model, a curve for each searcher."""
    found = {c: of for c in conditions(study) if (of := curves(study, **c._asdict()))}
    if not found:
        return "no search has kept its improvements; studies of version 0.2 did not"

    def panel(row: tuple[str, int], model: str) -> Panel | None:
        condition = Condition(model, *row)
        return _panel(study, condition, found[condition]) if condition in found else None

    signals = uncounted(study.runs)
    return Picture(
        _sentence(study),
        "The lowest calibration loss above dense of a subset of the budget's size that a search "
        "had measured so far, against the block forwards that it would need alone until then: "
        "the mean over seeds and draws, from where each of them has one. A mark is at the end, "
        "where the choice counts, too, if it was never measured."
        + (f" Not counted: the signals of {signals}." if signals else ""),
        facets([(o, k) for o in study.objectives for k in study.budgets], study.models, panel),
        (2.9, 2.4),
        searcher_looks(study.searchers, line="-"),
    )


def _sentence(study: Study) -> str:
    parts = []
    for objective in study.objectives:
        share = share_until_last(study.where(objective=objective))
        if share is not None:
            parts.append(f"{percent(share)} under {objective}")
    if not parts:
        return "None of the searches measured 2 subsets of the budget's size, one after the other."
    return (
        "Of its block forwards, a search that improves has on average run "
        f"{listed(parts)} when it finds its lowest loss."
    )


def _panel(study: Study, c: Condition, found: Mapping[str, Curve]) -> Panel:
    title = f"{study.short[c.model]}, {c.objective}, {together('k =', c.budget)}"
    alt = "; ".join(
        f"{searcher}: from {number(of.differences[0])} at {number(of.block_runs[0])} block "
        f"forwards to {number(of.differences[-1])} at {number(of.block_runs[-1])}"
        for searcher, of in found.items()
    )
    draw = partial(_draw, study, study.units[c.objective], found)
    return Panel(title, f"{title}. Best loss so far, {alt}", draw)


def _draw(study: Study, unit: str, found: Mapping[str, Curve], axes: Axes) -> None:
    looks = searcher_looks(study.searchers, line="-")
    for searcher, of in found.items():
        look = {**looks[searcher], "linewidth": 1.2, "markevery": [-1]}
        axes.step(of.block_runs, of.differences, where="post", **look)
    axes.set(xlabel="block forwards", ylabel=f"best loss so far\nabove dense ({unit})")
    axes.margins(0.08)
    stretch(axes, [x for of in found.values() for x in of.block_runs], ROOM)
    axes.grid(True)
