"""Which searchers, under which objectives, choose alike."""

from __future__ import annotations

import itertools
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.overlap import Corner, Matrix
from prunekit.plugins.commands.report.overlap import agreement as agreement_of
from prunekit.plugins.commands.report.picture import LeftOut, Mark, Panel, Picture, without_gaps
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.style import BLUE, GREY, INK
from prunekit.plugins.commands.report.wording import listed, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "agreement", "Who chooses alike"
LETTER = 0.062
"""Inches of a letter of an objective's name, which stands at the right of its rows."""


def agreement(study: Study) -> Picture | LeftOut:
    """A panel for each budget and model: Jaccard index of every two objectives and searchers."""
    found = {
        (k, m): matrix
        for k in study.budgets
        for m in study.models
        if len(matrix := agreement_of(study, m, k)) > 1
    }
    if not found:
        return LeftOut(NAME, TITLE, "there is one objective and one searcher only")
    rows = [
        [_panel(study, m, k, found[k, m]) if (k, m) in found else None for m in study.models]
        for k in study.budgets
    ]
    names = LETTER * (len("under ") + max(map(len, study.objectives)))
    side = 0.13 * max(map(len, found.values()))
    return Picture(
        NAME,
        TITLE,
        _sentence(list(found.values())),
        "The fuller the colour, the larger the Jaccard index. On the diagonal, runs are compared "
        "that differ in seed or draw; a cross stands where there are no two.",
        without_gaps(rows),
        (max(2.6, 1.25 + names + side), 1.4 + side),
        [Mark(f"Jaccard {x:g}", _look(x), is_patch=True) for x in (0.0, 0.25, 0.5, 0.75, 1.0)],
    )


def _sentence(matrices: list[Matrix]) -> str:
    values: dict[tuple[Corner, Corner], list[float]] = {}
    for matrix in matrices:
        for a, b in itertools.combinations(matrix, 2):
            if b in matrix[a]:
                values.setdefault((a, b), []).append(matrix[a][b])
    means = {pair: fmean(of_it) for pair, of_it in values.items()}
    if not means:
        return "No two searches share a seed and a draw."
    most, least = max(means, key=lambda p: means[p]), min(means, key=lambda p: means[p])
    return (
        f"Over all models and budgets, {_pair(most)} choose most alike ({means[most]:.2f}), "
        f"{_pair(least)} least ({means[least]:.2f})."
    )


def _pair(pair: tuple[Corner, Corner]) -> str:
    return listed([f"{searcher} under {objective}" for objective, searcher in pair])


def _panel(study: Study, model: str, budget: int, matrix: Matrix) -> Panel:
    title = f"{study.short[model]}, {together(budget, 'blocks removed')}"
    same: dict[bool, list[float]] = {True: [], False: []}
    for a, b in itertools.combinations(matrix, 2):
        if b in matrix[a]:
            same[a[0] == b[0]].append(matrix[a][b])
    within, across = (
        f"{fmean(same[x]):.2f}" if same[x] else "nothing to compare" for x in (True, False)
    )
    alt = f"{title}. Mean Jaccard index within an objective: {within}; between objectives: {across}"
    return Panel(title, alt, partial(_draw, matrix))


def _draw(matrix: Matrix, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    corners = list(matrix)
    for (y, a), (x, b) in itertools.product(enumerate(corners), repeat=2):
        if b in matrix[a]:
            square = Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, **_look(matrix[a][b]))
            axes.add_patch(square)
        else:
            axes.plot(x, y, "x", color=GREY, markersize=4)
    searchers = [searcher for _, searcher in corners]
    ends = [i for i, (a, b) in enumerate(itertools.pairwise(corners)) if a[0] != b[0]]
    for end in ends:
        axes.axhline(end + 0.5, color=INK, linewidth=1.2)
        axes.axvline(end + 0.5, color=INK, linewidth=1.2)
    starts = [0, *(end + 1 for end in ends)]
    for start, end in zip(starts, [*ends, len(corners) - 1], strict=True):
        name = f"under {corners[start][0]}"
        axes.text(len(corners) - 0.3, (start + end) / 2, name, va="center", style="italic")
    axes.set(xlim=(-0.55, len(corners) - 0.45), ylim=(len(corners) - 0.45, -0.55), aspect="equal")
    axes.set_xticks(range(len(corners)), searchers, rotation=90, size=6.7)
    axes.set_yticks(range(len(corners)), searchers, size=6.7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _look(value: float) -> dict[str, Any]:
    return {"facecolor": BLUE, "alpha": 0.06 + 0.94 * value}
