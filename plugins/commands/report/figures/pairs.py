"""The figures of pairs: how much subsets overlap, and which searchers choose alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from statistics import fmean, quantiles
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure, name_lines
from prunekit.plugins.commands.report.overlap import FACTORS, Corner, Matrix, Overlap, overlaps
from prunekit.plugins.commands.report.overlap import agreement as agreement_of
from prunekit.plugins.commands.report.style import BLUE, GREY, INK
from prunekit.plugins.commands.report.wording import count, listed, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANGED = {factor: f"another {factor}" for factor in FACTORS} | {"draw": "another calibration draw"}


@figure("Overlap of subsets")
def overlap(study: Study) -> Picture | str:
    """Draw a panel for each budget, a line for each factor that can change."""
    found = {k: overlaps(study, budget=k) for k in study.budgets}
    if not any(found.values()):
        return "no two finished searches differ in one thing only"

    def panel(_: None, budget: int) -> Panel | None:
        title = f"{count(budget, 'block')} removed"
        means = [
            f"{CHANGED[o.factor]} {o.mean:.2f} ({o.by_chance:.2f} by chance)" for o in found[budget]
        ]
        alt = f"{title}. Mean Jaccard index: {', '.join(means)}"
        return Panel(title, alt, partial(_overlap, found[budget])) if means else None

    return Picture(
        _overlap_sentence(overlaps(study)),
        "Jaccard index: blocks that both runs removed, over blocks that at least one removed. Dot: "
        "mean over all pairs of runs that differ in this alone; thick line: the middle half of the "
        "pairs; thin line: all; dashed: two subsets drawn at random.",
        facets([None], study.budgets, panel),
        (3.3, 0.9 + 0.27 * max(map(len, found.values()))),
    )


def _overlap_sentence(found: Sequence[Overlap]) -> str:
    means = [f"{o.mean:.2f} where only the {o.factor} differs" for o in found]
    chance = sum(o.by_chance * len(o.values) for o in found) / sum(len(o.values) for o in found)
    return (
        f"The Jaccard index of two runs is on average {listed(means)}; by chance it would be "
        f"{chance:.2f}."
    )


def _overlap(found: Sequence[Overlap], axes: Axes) -> None:
    thick: dict[str, Any] = {"linewidth": 5, "alpha": 0.7, "solid_capstyle": "butt"}
    for y, o in enumerate(found):
        axes.plot([o.values[0], o.values[-1]], [y, y], color=GREY, linewidth=1, zorder=2)
        if len(o.values) > 1:
            lower, _, upper = quantiles(o.values, n=4, method="inclusive")
            axes.plot([lower, upper], [y, y], color=GREY, zorder=2, **thick)
        axes.plot(o.mean, y, "o", color=BLUE, markeredgecolor=INK, markersize=7, zorder=3)
        axes.plot([o.by_chance] * 2, [y - 0.4, y + 0.4], "--", color=INK, linewidth=1)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(found) - 0.4, -0.6), xlabel="Jaccard index")
    axes.grid(True, axis="x")
    name_lines(axes, {y: CHANGED[o.factor] for y, o in enumerate(found)})


LETTER = 0.062
"""inches of a letter in the name of an objective, at the right of its rows"""


@figure("Who chooses alike")
def agreement(study: Study) -> Picture | str:
    """Draw a panel for each budget and model: Jaccard index of every two corners."""
    found = {(k, m): agreement_of(study, m, k) for k in study.budgets for m in study.models}
    found = {place: matrix for place, matrix in found.items() if len(matrix) > 1}
    if not found:
        return "there is one objective and one searcher only"

    def panel(budget: int, model: str) -> Panel | None:
        if (budget, model) not in found:
            return None
        title = f"{study.short[model]}, {together(budget, 'blocks removed')}"
        alt = f"{title}. {_agreement_words(found[budget, model])}"
        return Panel(title, alt, partial(_agreement, found[budget, model]))

    names = LETTER * (len("under ") + max(map(len, study.objectives)))
    side = 0.13 * max(map(len, found.values()))
    return Picture(
        _agreement_sentence(found.values()),
        "The fuller the colour, the larger the Jaccard index. On the diagonal, runs are compared "
        "that differ in seed or draw; a cross means that there are no two.",
        facets(study.budgets, study.models, panel),
        (max(2.6, 1.25 + names + side), 1.4 + side),
        {f"Jaccard {x:g}": _look(x) for x in (0.0, 0.25, 0.5, 0.75, 1.0)},
    )


def _pairs(matrix: Matrix) -> Iterable[tuple[Corner, Corner, float]]:
    return ((a, b, matrix[a][b]) for a, b in itertools.combinations(matrix, 2) if b in matrix[a])


def _agreement_words(matrix: Matrix) -> str:
    within = [x for a, b, x in _pairs(matrix) if a[0] == b[0]]
    across = [x for a, b, x in _pairs(matrix) if a[0] != b[0]]
    means = [f"{fmean(of):.2f}" if of else "nothing to compare" for of in (within, across)]
    return f"Mean Jaccard index within an objective: {means[0]}; between objectives: {means[1]}"


def _agreement_sentence(matrices: Iterable[Matrix]) -> str:
    values: dict[tuple[Corner, Corner], list[float]] = {}
    for a, b, x in itertools.chain.from_iterable(map(_pairs, matrices)):
        values.setdefault((a, b), []).append(x)
    means = {_named(*pair): fmean(of) for pair, of in values.items()}
    if not means:
        return "No two searches share a seed and a draw."
    most, least = max(means, key=lambda p: means[p]), min(means, key=lambda p: means[p])
    return (
        f"Over all models and budgets, {most} choose most alike ({means[most]:.2f}), "
        f"{least} least ({means[least]:.2f})."
    )


def _named(*corners: Corner) -> str:
    return listed([f"{searcher} under {objective}" for objective, searcher in corners])


def _agreement(matrix: Matrix, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    corners = list(matrix)
    for (y, a), (x, b) in itertools.product(enumerate(corners), repeat=2):
        if b in matrix[a]:
            axes.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, **_look(matrix[a][b])))
        else:
            axes.plot(x, y, "x", color=GREY, markersize=4)
    searchers = [searcher for _, searcher in corners]
    end = -1
    for objective, of in itertools.groupby(objective for objective, _ in corners):
        if end >= 0:
            axes.axhline(end + 0.5, color=INK, linewidth=1.2)
            axes.axvline(end + 0.5, color=INK, linewidth=1.2)
        start, end = end + 1, end + len(list(of))
        place = len(corners) - 0.3, (start + end) / 2
        axes.text(*place, f"under {objective}", va="center", style="italic")
    axes.set(xlim=(-0.55, len(corners) - 0.45), ylim=(len(corners) - 0.45, -0.55), aspect="equal")
    axes.set_xticks(range(len(corners)), searchers, rotation=90, size=6.7)
    axes.set_yticks(range(len(corners)), searchers, size=6.7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _look(value: float) -> dict[str, Any]:
    return {"facecolor": BLUE, "alpha": 0.06 + 0.94 * value}
