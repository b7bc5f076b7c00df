"""The figures of single blocks: which were removed, and how important they are."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import Subset, words
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure, name_lines
from prunekit.plugins.commands.report.ranks import spearman
from prunekit.plugins.commands.report.style import GREY, INK, objective_looks
from prunekit.plugins.commands.report.wording import listed, number, percent, together

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from prunekit.engine.study_folder import Importance

Lines = dict[tuple[str, str], "pd.DataFrame"]
"""the runs of each objective and searcher: a row of a panel"""


@figure("Which blocks go")
def masks(study: Study) -> Picture | str:
    """Draw a panel for each model and budget, a row for each objective and searcher (Figure 1)."""
    if study.runs.empty:
        return "no search has finished"
    keys = ["model", "budget"]
    lines: dict[tuple[str, int], Lines] = {
        key: dict(list(runs.groupby(["objective", "searcher"], observed=True)))
        for key, runs in study.runs.groupby(keys, observed=True)
    }

    def panel(budget: int, model: str) -> Panel | None:
        if (model, budget) not in lines:
            return None
        title = f"{study.short[model]}, {together(budget, 'blocks removed')}"
        alt = "; ".join(f"{o}, {s}: {_usual(of)}" for (o, s), of in lines[model, budget].items())
        return Panel(title, f"{title}. {alt}", partial(_masks, study, lines[model, budget]))

    looks = objective_looks(study.objectives)
    key: dict[str, dict[str, Any]] = {f"removed under {o}": looks[o] for o in study.objectives}
    if any(x < 1 for of in lines.values() for runs in of.values() for x in _shares(runs).values()):
        look = {"facecolor": GREY, "edgecolor": INK, "linewidth": 0.4, "alpha": 0.4}
        key["fainter: only in some of its runs"] = look
    return Picture(
        _masks_sentence(study),
        "A row is a searcher, a filled cell a block that it removed; the fainter, the fewer of "
        "its seeds and draws removed it.",
        facets(study.budgets, study.models, panel),
        (3.3, 0.95 + 0.145 * (max(map(len, lines.values())) + len(study.objectives))),
        key,
    )


def groups_of_neighbours(removed: Subset) -> int:
    """Count the unbroken stretches of a subset.

    >>> groups_of_neighbours(frozenset({3, 4, 5, 9}))
    2
    """
    return sum(i - 1 not in removed for i in removed)


def _masks_sentence(study: Study) -> str:
    parts = []
    for objective, runs in study.runs.groupby("objective", observed=True):
        groups = number(fmean(map(groups_of_neighbours, runs["removed"])), 2)
        of_runs = zip(runs["removed"], runs["n_blocks"], strict=True)
        depth = percent(fmean(i / (n - 1) for removed, n in of_runs for i in removed))
        parts.append(f"under {objective} {groups} groups of neighbours at {depth} of the depth")
    k, n = study.runs["budget"], study.runs["n_blocks"]
    return (
        f"On average the removed blocks form {listed(parts)}; blocks drawn at random would form "
        f"{number(fmean(k * (n - k + 1) / n), 2)} groups at 50%."
    )


def _shares(runs: pd.DataFrame) -> dict[int, float]:
    counts = Counter(itertools.chain.from_iterable(runs["removed"]))
    return {block: counts[block] / len(runs) for block in sorted(counts)}


def _usual(runs: pd.DataFrame) -> str:
    shares = _shares(runs)
    return words(max(runs["removed"], key=lambda of: (sum(shares[i] for i in of), sorted(of))))


def _masks(study: Study, lines: Lines, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    looks = objective_looks(study.objectives)
    n_blocks = next(iter(lines.values()))["n_blocks"].iloc[0]
    ticks: dict[float, str] = {}
    y, above = 0.0, None
    for (objective, searcher), runs in lines.items():
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
    axes.set_xticks(range(0, n_blocks, 2 if n_blocks <= 20 else 4))
    name_lines(axes, ticks, size=7)


@figure("Importance of each block")
def importance(study: Study) -> Picture | str:
    """Draw a panel for each objective and model, a bar for each block."""
    measured = [i for i in study.importances if i.dense is not None]
    if not measured:
        return "no single removal was measured"
    looks = objective_looks(study.objectives)

    def panel(objective: str, model: str) -> Panel | None:
        found = [i for i in measured if (i.model, i.objective) == (model, objective)]
        if not found:
            return None
        title, unit = f"{study.short[model]}, {objective}", study.units[objective]
        blocks = list(zip(*map(_block_losses, found), strict=True))
        means = ", ".join(f"{i}: {number(fmean(of))}" for i, of in enumerate(blocks))
        alt = f"{title}. Loss above dense in {unit} without block {means}"
        return Panel(title, alt, partial(_importance, blocks, unit, looks[objective]))

    return Picture(
        _importance_sentence(study, measured),
        "Loss without this block alone, above the dense model's: the mean over calibration draws, "
        "the thin line from the least to the most; × marks a loss that was not finite.",
        facets(study.objectives, study.models, panel),
        (3.3, 2.2),
    )


def _block_losses(found: Importance) -> tuple[float, ...]:
    """Return the loss above dense without each block; infinite if it was not finite."""
    return tuple(math.inf if x is None else x - (found.dense or 0.0) for x in found.singles)


def _importance_sentence(study: Study, measured: Sequence[Importance]) -> str:
    """Compare objectives on different draws, if there are any: on one they may share samples."""
    rhos: dict[str, list[float]] = {"two objectives": [], "two draws of one objective": []}
    for a, b in itertools.combinations(measured, 2):
        if a.model == b.model and (a.draw != b.draw or len(study.draws) == 1):
            rho = spearman(_block_losses(a), _block_losses(b))
            name = "two draws of one objective" if a.objective == b.objective else "two objectives"
            rhos[name] += [] if rho is None else [rho]
    said = [f"{fmean(values):+.2f} between {name}" for name, values in rhos.items() if values]
    losses = [_block_losses(i) for i in measured]
    depths = [of.index(min(of)) / max(1, len(of) - 1) for of in losses]
    low, high = percent(min(depths)), percent(max(depths))
    where = f"block lies {low if low == high else f'{low} to {high}'} of the way up."
    if not said:
        return f"The cheapest {where}"
    return (
        f"Spearman's ρ of the blocks' importance is on average {' and '.join(said)}; "
        f"the cheapest {where}"
    )


def _importance(
    blocks: Sequence[Sequence[float]], unit: str, look: dict[str, Any], axes: Axes
) -> None:
    means = [fmean(values) for values in blocks]
    for i, (mean, values) in enumerate(zip(means, blocks, strict=True)):
        if math.isfinite(mean):
            axes.bar(i, mean, width=0.8, **{**look, "linewidth": 0.4})
            axes.plot([i, i], [min(values), max(values)], color=INK, linewidth=1)
        else:
            axes.plot(i, 0, "x", color=INK, markersize=5)
    sizes = [abs(x) for x in means if math.isfinite(x) and x]
    if sizes and max(sizes) > 20 * median(sizes):
        near_zero = 10 ** math.floor(math.log10(median(sizes)))
        axes.set_yscale("symlog", linthresh=near_zero, linscale=0.6)
        unit = f"{unit}, log above {number(near_zero)}"
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    axes.set(xlabel="block, counted from 0", ylabel=f"loss above dense\n({unit})")
    axes.set_xticks(range(0, len(blocks), 2 if len(blocks) <= 20 else 4))
    axes.grid(True, axis="y", color=GREY)
