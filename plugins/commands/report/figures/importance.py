"""What each block is worth by itself, under each objective."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from functools import partial
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.correlation import spearman
from prunekit.plugins.commands.report.picture import LeftOut, Panel, Picture, without_gaps
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.style import GREY, INK, objective_looks
from prunekit.plugins.commands.report.wording import number, percent
from prunekit.plugins.commands.study.files import Importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, TITLE = "importance", "Importance of each block"


def importance(study: Study) -> Picture | LeftOut:
    """A panel for each objective and model, a bar for each block."""
    if not _measured(study):
        return LeftOut(NAME, TITLE, "no single removal was measured")
    rows = [[_panel(study, o, m) for m in study.models] for o in study.objectives]
    return Picture(
        NAME,
        TITLE,
        _sentence(study),
        "Loss without this block alone, above the dense model's: the mean over calibration draws, "
        "the thin line from the least to the most; × marks a loss that was not finite.",
        without_gaps(rows),
        (3.3, 2.2),
    )


def _measured(study: Study) -> list[Importance]:
    return [i for i in study.importances if i.dense is not None]


def _block_losses(found: Importance) -> tuple[float, ...]:
    """The loss above dense without each block; infinite where it was not finite."""
    return tuple(math.inf if x is None else x - (found.dense or 0.0) for x in found.singles)


def rank_correlations(study: Study) -> dict[str, list[float]]:
    """Spearman's rho of block importance, between two objectives and between two draws of one.

    Objectives are compared on different draws, where there are such: on one they may share samples.
    """
    found: dict[str, list[float]] = {"objectives": [], "draws": []}
    for a, b in itertools.combinations(_measured(study), 2):
        if a.model == b.model and (a.draw != b.draw or len(study.draws) == 1):
            rho = spearman(_block_losses(a), _block_losses(b))
            if rho is not None:
                found["draws" if a.objective == b.objective else "objectives"].append(rho)
    return found


def _sentence(study: Study) -> str:
    rhos = rank_correlations(study)
    said = [
        f"{fmean(values):+.2f} between {what}"
        for what, values in (
            ("two objectives", rhos["objectives"]),
            ("two draws of one objective", rhos["draws"]),
        )
        if values
    ]
    cheapest = _cheapest(_measured(study))
    if not said:
        return f"{cheapest[0].upper()}{cheapest[1:]}."
    return f"Spearman's ρ of the blocks' importance is on average {' and '.join(said)}; {cheapest}."


def _cheapest(importances: Iterable[Importance]) -> str:
    """Which blocks are cheapest, as a share of depth, for a claim that holds across models."""
    places = [
        losses.index(min(losses)) / max(1, len(losses) - 1)
        for losses in map(_block_losses, importances)
    ]
    low, high = min(places), max(places)
    return f"the cheapest block lies {percent(low)} to {percent(high)} of the way up"


def _panel(study: Study, objective: str, model: str) -> Panel | None:
    draws = [
        _block_losses(i) for i in _measured(study) if (i.model, i.objective) == (model, objective)
    ]
    if not draws:
        return None
    title = f"{study.short[model]}, {objective}"
    means = ", ".join(f"{i}: {number(fmean(of))}" for i, of in enumerate(zip(*draws, strict=True)))
    look = objective_looks(study.objectives)[objective]
    unit = study.units[objective]
    alt = f"{title}. Loss above dense in {unit} without block {means}"
    return Panel(title, alt, partial(_draw, draws, unit, look))


def _draw(draws: Sequence[Sequence[float]], unit: str, look: dict[str, Any], axes: Axes) -> None:
    blocks = list(zip(*draws, strict=True))
    means = [fmean(values) for values in blocks]
    finite = [abs(x) for x in means if math.isfinite(x) and x]
    for i, (mean, values) in enumerate(zip(means, blocks, strict=True)):
        if math.isfinite(mean):
            axes.bar(i, mean, width=0.8, **{**look, "linewidth": 0.4})
            axes.plot([i, i], [min(values), max(values)], color=INK, linewidth=1)
        else:
            axes.plot(i, 0, "x", color=INK, markersize=5)
    if finite and max(finite) > 20 * median(finite):
        near_zero = 10 ** math.floor(math.log10(median(finite)))
        axes.set_yscale("symlog", linthresh=near_zero, linscale=0.6)
        unit = f"{unit}, log above {number(near_zero)}"
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    axes.set(xlabel="block, counted from 0", ylabel=f"loss above dense\n({unit})")
    axes.set_xticks(range(0, len(blocks), 2 if len(blocks) <= 20 else 4))
    axes.grid(True, axis="y", color=GREY)
