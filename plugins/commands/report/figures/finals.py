"""The figures of finalists: what choices cost elsewhere, and whether another draw repeats them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.data import Study, select
from prunekit.plugins.commands.report.drawing import Panel, Picture, facets, figure
from prunekit.plugins.commands.report.finals import (
    Final,
    Point,
    Repeat,
    final_of,
    finals,
    finite_points,
    repeats,
)
from prunekit.plugins.commands.report.style import GREY, searcher_looks
from prunekit.plugins.commands.report.wording import count, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = tuple[str, str]
"""an objective and a model: a panel"""
Finals = Sequence[tuple[str, Final]]
"""searchers, and what became of their choices"""
WINNER: Mapping[str, Any] = {"markersize": 9.5, "markerfacecolor": "none", "markeredgewidth": 1.2}


@figure("Calibration loss against held-out loss")
def held_out(study: Study) -> Picture | str:
    """Draw a panel for each objective and model, two points for each search with finalists."""
    found: dict[Place, Finals] = {
        (o, m): _finals(study, objective=o, model=m) for o in study.objectives for m in study.models
    }
    if not any(found.values()):
        return "no search has finalists on held-out samples; `finalists: 5` in the study adds them"

    def panel(objective: str, model: str) -> Panel | None:
        of = found[objective, model]
        if not of:
            return None
        title = f"{study.short[model]}, {objective}"
        draw = partial(_held_out, study, of, study.units[objective])
        return Panel(title, f"{title}. {_losses_in_words(of)}", draw)

    own: dict[str, Any] = {"color": GREY, "marker": "o", "linestyle": "none"}
    return Picture(
        _held_out_sentence(study),
        "Both losses are above those of the dense model. A filled mark is what a search chose "
        "itself, a ring the winner among its finalists; a line joins the two where they differ. On "
        "the dotted line held-out samples cost as much as the calibration set; above it, more.",
        facets(study.objectives, study.models, panel),
        (2.9, 2.5),
        {
            **searcher_looks(study.searchers),
            "own choice": {**own, "markersize": 6},
            "winner on held-out samples": {**own, **WINNER},
        },
    )


def _finals(study: Study, **fixed: Any) -> Finals:
    runs = study.where(**fixed).itertuples(index=False)
    return [(run.searcher, final) for run in runs if (final := final_of(run))]


def _losses_in_words(found: Finals) -> str:
    names = dict.fromkeys(searcher for searcher, _ in found)
    parts = []
    for name in names:
        of = [final for searcher, final in found if searcher == name]
        losses = [(f.own.calibration, f.own.held_out, f.winner.held_out) for f in of]
        means = [number(fmean(column)) for column in zip(*losses, strict=True)]
        parts.append(f"{name}: {', '.join(means)}")
    return f"Calibration, held-out, and held-out of the winner: {'; '.join(parts)}"


def _held_out_sentence(study: Study) -> str:
    table = finals(study)
    parts = []
    for objective in study.objectives:
        rows = select(table, objective=objective)
        known = rows[rows[["calibration", "held out", "winner"]].abs().max(axis=1) < math.inf]
        if known.empty:
            continue
        more = (known["held out"] - known["calibration"]).mean()
        won = (known["held out"] - known["winner"]).mean()
        parts.append(
            f"{number(more)} {study.units[objective]} under {objective}, where the winners add "
            f"{number(won)} less"
        )
    if not parts:
        return f"None of {count(len(table), 'choice')} has finite losses."
    return (
        "On held-out samples the choices of searches add to the dense loss, beyond what they add "
        f"on their calibration set, on average {'; '.join(parts)}."
    )


def _held_out(study: Study, found: Finals, unit: str, axes: Axes) -> None:
    looks = searcher_looks(study.searchers)
    drawn: list[Point] = []
    for searcher, final in found:
        points = finite_points([final.own, final.winner])
        drawn += points
        if len(points) == 2 and final.own != final.winner:
            xs, ys = [p.calibration for p in points], [p.held_out for p in points]
            axes.plot(xs, ys, color=looks[searcher]["color"], linewidth=0.6, zorder=1)
        for point in finite_points([final.own]):
            axes.plot(point.calibration, point.held_out, **looks[searcher])
        for point in finite_points([final.winner]):
            colour = looks[searcher]["color"]
            ring = {**looks[searcher], **WINNER, "markeredgecolor": colour, "marker": "o"}
            axes.plot(point.calibration, point.held_out, **ring)
    _diagonal(axes, [p.calibration for p in drawn])
    axes.set(xlabel=f"on the calibration set ({unit})", ylabel="on held-out samples")


def _diagonal(axes: Axes, values: Sequence[float]) -> None:
    """Draw the line on which both are the same, over the range of these values."""
    if values:
        axes.plot([min(values), max(values)], [min(values), max(values)], ":", color=GREY, zorder=0)
    axes.grid(True)


@figure("What another draw would choose")
def repeated(study: Study) -> Picture | str:
    """Draw a panel for each objective and model, a point for each searcher and budget."""
    if not any(found is not None for found in study.runs["stability"]):
        return "no search has an estimate of its stability; `finalists: 5` in the study adds it"
    found: dict[Place, list[Repeat]] = {
        (o, m): repeats(study, objective=o, model=m) for o in study.objectives for m in study.models
    }
    if not any(found.values()):
        return "no search was repeated on another calibration draw"

    def panel(objective: str, model: str) -> Panel | None:
        of = found[objective, model]
        if not of:
            return None
        title = f"{study.short[model]}, {objective}"
        said = "; ".join(
            f"{r.searcher}, k = {r.budget}: {r.expected:.2f}, {r.observed:.2f}" for r in of
        )
        alt = f"{title}. Agreement expected and observed: {said}"
        return Panel(title, alt, partial(_repeated, study, of))

    return Picture(
        _repeated_sentence([r for of in found.values() for r in of]),
        "The share of the chosen blocks that two calibration draws have in common: as expected "
        "from the samples of one draw alone, on average over draws and seeds, and as found between "
        "all draws of the study with the same seed. On the dotted line both agree.",
        facets(study.objectives, study.models, panel),
        (2.9, 2.5),
        searcher_looks(study.searchers),
    )


def _repeated_sentence(found: Sequence[Repeat]) -> str:
    expected, observed = fmean(r.expected for r in found), fmean(r.observed for r in found)
    off = fmean(abs(r.expected - r.observed) for r in found)
    return (
        f"Another draw is expected to choose {100 * expected:.0f}% of the blocks again, and "
        f"chooses {100 * observed:.0f}%; on average over {count(len(found), 'point')} of the "
        f"figure the two differ by {100 * off:.0f} percentage points."
    )


def _repeated(study: Study, found: Sequence[Repeat], axes: Axes) -> None:
    looks = searcher_looks(study.searchers)
    for r in found:
        axes.plot(r.expected, r.observed, **looks[r.searcher])
    _diagonal(axes, [0.0, 1.0])
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
    axes.set(xlabel="expected from one draw", ylabel="observed between draws")
