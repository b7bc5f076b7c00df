"""Which blocks each searcher removed (Figure 1 of the study)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

from prunekit.core.problem import Subset, words
from prunekit.plugins.commands.report.picture import LeftOut, Mark, Panel, Picture, without_gaps
from prunekit.plugins.commands.report.reading import Run, Study
from prunekit.plugins.commands.report.style import GREY, INK, objective_looks
from prunekit.plugins.commands.report.wording import listed, number, percent, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "masks", "Which blocks go"
Line: TypeAlias = tuple[str, str, list[Run]]
"""Objective, searcher, and its runs: a row of a panel."""


def masks(study: Study) -> Picture | LeftOut:
    """A panel for each model and budget, a row for each objective and searcher."""
    if not study.runs:
        return LeftOut(NAME, TITLE, "no search has finished")
    rows = [[_panel(study, m, k) for m in study.models] for k in study.budgets]
    lines = max(len(_lines(study, m, k)) for m in study.models for k in study.budgets)
    looks = objective_looks(study.objectives)
    return Picture(
        NAME,
        TITLE,
        _sentence(study),
        "A row is a searcher, a filled cell a block that it removed; the fainter, the fewer of "
        "its seeds and draws removed it.",
        without_gaps(rows),
        (3.3, 0.95 + 0.145 * (lines + len(study.objectives))),
        [Mark(f"removed under {o}", looks[o], is_patch=True) for o in study.objectives]
        + _faint(study),
    )


def _faint(study: Study) -> list[Mark]:
    """The key to cells that only some of a row's runs removed, where there are such."""
    lines = [_lines(study, m, k) for m in study.models for k in study.budgets]
    shares = [share for _, _, runs in chain(*lines) for share in _shares(runs).values()]
    if not shares or min(shares) == 1:
        return []
    look = {"facecolor": GREY, "edgecolor": INK, "linewidth": 0.4, "alpha": 0.4}
    return [Mark("fainter: only in some of its runs", look, is_patch=True)]


def groups_of_neighbours(removed: Subset) -> int:
    """How many unbroken stretches a subset consists of.

    >>> groups_of_neighbours(frozenset({3, 4, 5, 9}))
    2
    """
    return sum(i - 1 not in removed for i in removed)


def _sentence(study: Study) -> str:
    parts = []
    for objective in study.objectives:
        runs = study.where(objective=objective)
        if runs:
            groups = number(fmean(groups_of_neighbours(r.removed) for r in runs), 2)
            depth = percent(fmean(i / (r.result.n_blocks - 1) for r in runs for i in r.removed))
            parts.append(f"under {objective} {groups} groups of neighbours at {depth} of the depth")
    chance = fmean(
        r.cell.budget * (r.result.n_blocks - r.cell.budget + 1) / r.result.n_blocks
        for r in study.runs
    )
    return (
        f"On average the removed blocks form {listed(parts)}; blocks drawn at random would form "
        f"{number(chance, 2)} groups at 50%."
    )


def _panel(study: Study, model: str, budget: int) -> Panel | None:
    title = f"{study.short[model]}, {together(budget, 'blocks removed')}"
    lines = _lines(study, model, budget)
    if not lines:
        return None
    alt = "; ".join(f"{o}, {s}: {_usual(found)}" for o, s, found in lines)
    return Panel(title, f"{title}. {alt}", partial(_draw, study, lines))


def _lines(study: Study, model: str, budget: int) -> list[Line]:
    return [
        (objective, searcher, runs)
        for objective in study.objectives
        for searcher in study.searchers
        if (runs := study.where(model=model, budget=budget, objective=objective, searcher=searcher))
    ]


def _shares(runs: Sequence[Run]) -> dict[int, float]:
    blocks = sorted(frozenset().union(*(run.removed for run in runs)))
    return {i: sum(i in run.removed for run in runs) / len(runs) for i in blocks}


def _usual(runs: Sequence[Run]) -> str:
    shares = _shares(runs)
    most = max(runs, key=lambda run: (sum(shares[i] for i in run.removed), sorted(run.removed)))
    return words(most.removed)


def _draw(study: Study, lines: list[Line], axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    looks = objective_looks(study.objectives)
    n_blocks = lines[0][2][0].result.n_blocks
    ticks: dict[float, str] = {}
    y, above = 0.0, None
    for objective, searcher, runs in lines:
        if objective != above:
            y += 1.15 if above is not None else 0.0
            axes.text(-0.5, y - 0.62, f"under {objective}", va="bottom", style="italic", size=7.5)
            above = objective
        axes.add_patch(Rectangle((-0.5, y - 0.4), n_blocks, 0.8, facecolor=GREY, alpha=0.16))
        for block, share in _shares(runs).items():
            look = {**looks[objective], "edgecolor": INK, "linewidth": 0.4, "alpha": share}
            axes.add_patch(Rectangle((block - 0.5, y - 0.4), 1, 0.8, **look))
        ticks[y] = searcher
        y += 1.0
    axes.set(xlim=(-0.6, n_blocks - 0.4), ylim=(y - 0.4, -1.6), xlabel="block, counted from 0")
    axes.set_yticks(list(ticks), list(ticks.values()), size=7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xticks(range(0, n_blocks, 2 if n_blocks <= 20 else 4))
