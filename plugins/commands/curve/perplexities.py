"""The evaluated perplexities of a curve, in a table and in a picture."""

from __future__ import annotations

from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from prunekit.plugins.commands.curve.result import CurveResult, Evaluated
from prunekit.plugins.commands.report.drawing import Look, Panel
from prunekit.plugins.commands.report.names import without_folders
from prunekit.plugins.commands.report.style import GREEN, INK, ORANGE, PURPLE, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS, MARKERS = (GREEN, PURPLE, ORANGE, SKY), ("^", "D", "v", "P")


def perplexities_table(result: CurveResult) -> Table:
    """Return a row for each budget: perplexities, and what they are over those of dense."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", justify="right", no_wrap=True)
    for name in without_folders(result.texts).values():
        table.add_column(f"{name} perplexity", justify="right", overflow="fold")
        table.add_column("over dense", no_wrap=True)
    for point in result.points:
        cells = [cell for name in result.texts for cell in _cells(point.evaluated[name])]
        table.add_row(str(point.budget), *cells)
    return table


def _cells(found: Evaluated) -> tuple[str, str]:
    if found.perplexity is None:
        return "not finite", ""
    ratio = "" if found.ratio is None else f"{found.ratio:.2f}"
    if found.low is not None and found.high is not None and found.low < found.high:
        ratio += f" ({found.low:.2f} to {found.high:.2f})"
    return f"{found.perplexity:,.2f}", ratio


def looks(result: CurveResult) -> dict[str, Look]:
    """Return the look of each protocol, by its name."""
    pairs = zip(cycle(COLOURS), cycle(MARKERS))
    mark = {"linewidth": 1.2, "markersize": 5, "markeredgecolor": INK, "markeredgewidth": 0.6}
    return {
        name: {"color": colour, "marker": marker, **mark}
        for name, (colour, marker) in zip(result.texts, pairs, strict=False)
    }


def perplexities_panel(result: CurveResult) -> Panel:
    """Return the perplexities over those of the dense model against the budget."""
    title = "Evaluated perplexity over dense"
    last = result.points[-1]
    ratios = [f"{_cells(last.evaluated[name])[1]} on {name}" for name in result.texts]
    alt = f"{title} without {last.budget} blocks: {', '.join(ratios)}"
    return Panel(title, alt, partial(_draw, result))


def _draw(result: CurveResult, axes: Axes) -> None:
    for name, look in looks(result).items():
        known = {p.budget: p.evaluated[name] for p in result.points}
        known = {k: found for k, found in known.items() if found.ratio is not None}
        ratios = [found.ratio or 0.0 for found in known.values()]
        below = [r - (f.low or r) for r, f in zip(ratios, known.values(), strict=True)]
        above = [(f.high or r) - r for r, f in zip(ratios, known.values(), strict=True)]
        errors = (below, above)
        axes.errorbar(list(known), ratios, yerr=errors, ecolor=look["color"], capsize=2, **look)
    axes.set(xlabel="blocks removed", ylabel="perplexity over\nthe dense model's")
    axes.locator_params(axis="x", integer=True)
    axes.margins(0.05)
    axes.grid(True)
