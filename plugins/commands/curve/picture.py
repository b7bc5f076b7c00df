"""Draw a curve."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from prunekit.engine.reading import Difference
from prunekit.engine.sizes import short_count
from prunekit.plugins.commands.curve.perplexities import looks, perplexities_panel
from prunekit.plugins.commands.curve.result import CurveResult, Point
from prunekit.plugins.commands.curve.words import about_knee
from prunekit.plugins.commands.report.drawing import Look, Panel, Picture, draw_files
from prunekit.plugins.commands.report.names import without_folders
from prunekit.plugins.commands.report.style import BLUE, GREY, INK, VERMILION
from prunekit.plugins.commands.report.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (5.4, 3.6)
MOST_TICKS, MOST_SIZES = 12, 7
"""on the axes below and above, so that none touches the next"""
MARK: dict[str, Any] = {"markersize": 5, "markeredgecolor": INK, "markeredgewidth": 0.6}
CALIBRATION: dict[str, Any] = {"color": BLUE, "marker": "o", "linewidth": 1.2, **MARK}
HELD_OUT: dict[str, Any] = {"color": VERMILION, "marker": "s", "linewidth": 1.2, **MARK}
CHORD: dict[str, Any] = {"color": GREY, "linestyle": "--", "linewidth": 1}
KNEE: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 1}


def draw_curve(result: CurveResult) -> dict[str, bytes]:
    """Draw the loss above dense against the budget, by file extension: `png` and `svg`."""
    return draw_files(picture_of(result))


def picture_of(result: CurveResult) -> Picture:
    """Return the picture, with its main result in words."""
    title = f"{result.model.rpartition('/')[2]}: {result.search}"
    sentence = about_knee(result)
    panel = Panel(title, f"{title}. {sentence}", partial(_draw, result))
    reading = "Bars are standard errors over samples of the difference from the dense model."
    panels: list[Panel | None] = [panel]
    if result.texts:
        panels.append(perplexities_panel(result))
        reading += " Of perplexities they are 95 % intervals over windows."
    return Picture(sentence, reading, [panels], SIZE, _key(result))


def _key(result: CurveResult) -> dict[str, Look]:
    key: dict[str, Look] = {f"{result.samples} calibration samples": CALIBRATION}
    if result.held_out_samples:
        key[f"{result.held_out_samples} held-out samples"] = HELD_OUT
    if result.knee:
        key |= {"from first to last": CHORD, f"knee: {count(result.knee.budget, 'block')}": KNEE}
    names = without_folders(result.texts)
    return key | {f"{names[name]} text": look for name, look in looks(result).items()}


def _draw(result: CurveResult, axes: Axes) -> None:
    points = result.points
    _line(axes, {p.budget: p.above_dense for p in points}, CALIBRATION)
    if result.held_out_samples:
        _line(axes, {p.budget: p.held_out_above_dense for p in points}, HELD_OUT)
    if result.knee:
        _draw_knee(result, axes)
    axes.set(xlabel="blocks removed", ylabel=f"loss above dense\n({result.unit})")
    axes.set_xticks([p.budget for p in _some(points, MOST_TICKS)])
    axes.margins(0.05)
    axes.grid(True)
    above = axes.secondary_xaxis("top")
    sizes = {p.budget: short_count(p.parameters) for p in _some(points, MOST_SIZES)}
    above.set_xticks([*sizes], [*sizes.values()])
    above.set_xlabel("parameters left")
    above.spines["top"].set_visible(False)
    above.tick_params(length=0)


def _some(points: Sequence[Point], most: int) -> Sequence[Point]:
    """Return the first point and those at even steps from it, at most that number."""
    return points[:: -(-len(points) // most)]


def _line(axes: Axes, differences: dict[int, Difference], look: Look) -> None:
    known = {k: d for k, d in differences.items() if d.value is not None}
    values = [d.value or 0.0 for d in known.values()]
    errors = [d.standard_error or 0.0 for d in known.values()]
    axes.errorbar(list(known), values, yerr=errors, ecolor=look["color"], capsize=2, **look)


def _draw_knee(result: CurveResult, axes: Axes) -> None:
    """Draw the chord, to the point at which it ends, and a line at the knee."""
    assert result.knee is not None
    end = next(p for p in result.points if p.budget == result.knee.last)
    difference = end.held_out_above_dense if result.held_out_samples else end.above_dense
    axes.plot([0, end.budget], [0.0, difference.value or 0.0], **CHORD)
    axes.axvline(result.knee.budget, **KNEE)
