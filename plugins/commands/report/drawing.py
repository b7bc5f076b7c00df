"""Draw figures to files that are the same for the same data, byte by byte."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any

from prunekit.plugins.commands.report.picture import Mark, Panel, Picture
from prunekit.plugins.commands.report.style import SETTINGS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 160
TITLE_LETTERS_AN_INCH = 9.4


def draw_files(picture: Picture) -> dict[str, bytes]:
    """The whole figure, by the ending of its file: `png` and `svg`."""
    with _own_settings():
        figure = _whole(picture)
        return {
            "png": _saved(figure, format="png", metadata={"Software": None}, dpi=DOTS_PER_INCH),
            "svg": _saved(figure, format="svg", metadata={"Date": None}),
        }


def draw_panel(picture: Picture, panel: Panel) -> str:
    """One panel as SVG without a background."""
    from matplotlib.figure import Figure

    with _own_settings():
        figure = Figure(figsize=picture.size, layout="constrained")
        axes = figure.add_subplot()
        _draw(picture, panel, axes)
        return _saved(figure, format="svg", metadata={"Date": None}, transparent=True).decode()


def draw_mark(mark: Mark) -> str:
    """One entry of a key as SVG, without its words."""
    from matplotlib.figure import Figure

    with _own_settings():
        figure = Figure(figsize=(0.32, 0.16))
        figure.add_artist(_handle(mark, in_key=False))
        return _saved(figure, format="svg", metadata={"Date": None}, transparent=True).decode()


def _whole(picture: Picture) -> Figure:
    from matplotlib.figure import Figure

    n_rows, n_columns = len(picture.rows), max(map(len, picture.rows))
    width, height = picture.size
    key = 0.22 * -(-len(picture.key) // _key_columns(picture)) + 0.1 if picture.key else 0.0
    figure = Figure(figsize=(n_columns * width, n_rows * height + key), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes_row, row in zip(grid, picture.rows, strict=True):
        for axes, panel in zip(axes_row, [*row, *[None] * (n_columns - len(row))], strict=True):
            if panel is None:
                axes.remove()
                continue
            _draw(picture, panel, axes)
    if picture.key:
        handles = [_handle(mark, in_key=True) for mark in picture.key]
        figure.legend(handles=handles, loc="outside lower center", ncols=_key_columns(picture))
    return figure


def _draw(picture: Picture, panel: Panel, axes: Axes) -> None:
    letters = int(picture.size[0] * TITLE_LETTERS_AN_INCH)
    lines = [fill(line, letters, break_on_hyphens=False) for line in panel.title.splitlines()]
    axes.set_title("\n".join(lines))
    panel.draw(axes)


def _key_columns(picture: Picture) -> int:
    """As many as fit below the panels, in rows of like length."""
    inches = max(map(len, picture.rows)) * picture.size[0]
    longest = max(len(mark.label) for mark in picture.key)
    most = max(1, int(inches / (0.62 + 0.068 * longest)))
    n_rows = -(-len(picture.key) // most)
    return -(-len(picture.key) // n_rows)


def _handle(mark: Mark, in_key: bool) -> Artist:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if mark.is_patch:
        place = (0, 0, 1, 1) if in_key else (0.05, 0.1, 0.9, 0.8)
        return Rectangle(place[:2], *place[2:], label=mark.label, **mark.look)
    return Line2D([0.0, 0.5, 1.0], [0.5, 0.5, 0.5], markevery=[1], label=mark.label, **mark.look)


@contextmanager
def _own_settings() -> Iterator[None]:
    """Whatever the user's own matplotlibrc says."""
    import matplotlib

    settings: Any = SETTINGS  # its keys are plain text here
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def _saved(figure: Figure, **how: Any) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, **how)
    return target.getvalue()
