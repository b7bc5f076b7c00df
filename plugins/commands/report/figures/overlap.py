"""How much subsets overlap when one thing changes and the rest stays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import quantiles
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.overlap import FACTORS, Overlap, overlaps
from prunekit.plugins.commands.report.picture import LeftOut, Panel, Picture
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.style import BLUE, GREY, INK
from prunekit.plugins.commands.report.wording import count, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "overlap", "Overlap of subsets"
CHANGED = {factor: f"another {factor}" for factor in FACTORS} | {"draw": "another calibration draw"}


def overlap(study: Study) -> Picture | LeftOut:
    """A panel for each budget, a line for each thing that can change."""
    panels = [_panel(study, k) for k in study.budgets]
    if not any(panels):
        reason = "no two finished searches differ in one thing only"
        return LeftOut(NAME, TITLE, reason)
    return Picture(
        NAME,
        TITLE,
        _sentence(study),
        "Jaccard index: blocks that both runs removed, over blocks that at least one removed. Dot: "
        "mean over all pairs of runs that differ in this alone; thick line: the middle half of the "
        "pairs; thin line: all; dashed: two subsets drawn at random.",
        [panels],
        (3.3, 0.9 + 0.27 * max(len(overlaps(study, budget=k)) for k in study.budgets)),
    )


def _sentence(study: Study) -> str:
    found = overlaps(study)
    means = [f"{o.mean:.2f} where only the {o.factor} differs" for o in found]
    chance = sum(o.by_chance * len(o.values) for o in found) / sum(len(o.values) for o in found)
    return (
        f"The Jaccard index of two runs is on average {listed(means)}; by chance it would be "
        f"{chance:.2f}."
    )


def _panel(study: Study, budget: int) -> Panel | None:
    found = overlaps(study, budget=budget)
    if not found:
        return None
    title = f"{count(budget, 'block')} removed"
    alt = ", ".join(
        f"{CHANGED[o.factor]} {o.mean:.2f} ({o.by_chance:.2f} by chance)" for o in found
    )
    return Panel(title, f"{title}. Mean Jaccard index: {alt}", partial(_draw, found))


def _draw(found: Sequence[Overlap], axes: Axes) -> None:
    for y, o in enumerate(found):
        low, high = o.values[0], o.values[-1]
        axes.plot([low, high], [y, y], color=GREY, linewidth=1, zorder=2)
        if len(o.values) > 1:
            lower, _, upper = quantiles(o.values, n=4, method="inclusive")
            axes.plot(
                [lower, upper],
                [y, y],
                color=GREY,
                linewidth=5,
                alpha=0.7,
                zorder=2,
                solid_capstyle="butt",
            )
        axes.plot(o.mean, y, "o", color=BLUE, markeredgecolor=INK, markersize=7, zorder=3)
        axes.plot([o.by_chance] * 2, [y - 0.4, y + 0.4], "--", color=INK, linewidth=1)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(found) - 0.4, -0.6), xlabel="Jaccard index")
    axes.set_yticks(range(len(found)), [CHANGED[o.factor] for o in found])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")
