"""Build figures from panels, and draw them byte for byte the same for the same data."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from textwrap import fill
from typing import TYPE_CHECKING, Any, TypeVar

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.style import SETTINGS

if TYPE_CHECKING:  # imported only when something is drawn
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 160
OF_A_PDF = ("CreationDate", "Creator", "Producer")
"""What would differ between machines."""
TITLE_LETTERS_AN_INCH = 9.4
PAPER_WIDTH = 7.2
"""In inches: panels that are one below the other share it in files."""
Look = Mapping[str, Any]
"""keywords of a line, or of a patch if it has a `facecolor`"""
R = TypeVar("R")
C = TypeVar("C")


@dataclass(frozen=True)
class Panel:
    """One part of a figure that can be read by itself."""

    title: str
    alt: str
    """its content in words, for readers who cannot see it"""
    draw: Callable[[Axes], None]


Grid = list[list[Panel | None]]


@dataclass(frozen=True)
class Picture:
    """A figure of the report; its name and title are set by `figure`."""

    sentence: str
    """its main result in numbers"""
    reading: str
    """how to read it"""
    rows: Grid
    size: tuple[float, float]
    """of a panel, in inches"""
    key: Mapping[str, Look] = field(default_factory=dict)
    name: str = ""
    """of its files"""
    title: str = ""

    @property
    def panels(self) -> list[Panel]:
        """Return the panels in reading order."""
        return [panel for row in self.rows for panel in row if panel is not None]


@dataclass(frozen=True)
class LeftOut:
    """A figure that would make no sense, and the reason."""

    name: str
    title: str
    reason: str


def figure(
    title: str,
) -> Callable[[Callable[[Study], Picture | str]], Callable[[Study], Picture | LeftOut]]:
    """Name a figure after its function, which returns a picture or the reason to leave it out."""

    def decorate(make: Callable[[Study], Picture | str]) -> Callable[[Study], Picture | LeftOut]:
        @functools.wraps(make)
        def named(study: Study) -> Picture | LeftOut:
            found = make(study)
            if isinstance(found, str):
                return LeftOut(make.__name__, title, found)
            return replace(found, name=make.__name__, title=title)

        return named

    return decorate


def facets(rows: Sequence[R], columns: Sequence[C], panel: Callable[[R, C], Panel | None]) -> Grid:
    """Lay out a panel for each row and column, without empty rows and columns."""
    grid = [[panel(row, column) for column in columns] for row in rows]
    shown = [i for i in range(len(columns)) if any(line[i] for line in grid)]
    return [[line[i] for i in shown] for line in grid if any(line)]


def name_lines(axes: Axes, ticks: dict[float, str], **look: Any) -> None:
    """Name the rows of a panel at its left, without an axis."""
    axes.set_yticks(list(ticks), list(ticks.values()), **look)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def draw_files(picture: Picture) -> dict[str, bytes]:
    """Draw the whole figure, by file extension: `pdf`, `png` and `svg`."""
    with _own_settings():
        whole = _whole(picture)
        return {
            "pdf": _saved(whole, format="pdf", metadata=dict.fromkeys(OF_A_PDF)),
            "png": _saved(whole, format="png", metadata={"Software": None}, dpi=DOTS_PER_INCH),
            "svg": _saved(whole, format="svg", metadata={"Date": None}),
        }


def draw_panel(picture: Picture, panel: Panel) -> str:
    """Draw one panel as SVG without a background."""
    from matplotlib.figure import Figure

    with _own_settings():
        single = Figure(figsize=picture.size, layout="constrained")
        _draw(picture, panel, single.add_subplot())
        return _saved(single, format="svg", metadata={"Date": None}, transparent=True).decode()


def draw_mark(look: Look) -> str:
    """Draw one entry of a key as SVG, without its label."""
    from matplotlib.figure import Figure

    with _own_settings():
        single = Figure(figsize=(0.32, 0.16))
        single.add_artist(_handle("", look, (0.05, 0.1, 0.9, 0.8)))
        return _saved(single, format="svg", metadata={"Date": None}, transparent=True).decode()


def _whole(picture: Picture) -> Figure:
    from matplotlib.figure import Figure

    rows = _side_by_side(picture)
    n_rows, n_columns = len(rows), len(rows[0])
    width, height = picture.size
    key_columns = _key_columns(picture, n_columns * width) if picture.key else 1
    key = 0.22 * -(-len(picture.key) // key_columns) + 0.1 if picture.key else 0.0
    whole = Figure(figsize=(n_columns * width, n_rows * height + key), layout="constrained")
    grid = whole.subplots(n_rows, n_columns, squeeze=False)
    for axes, panel in zip(grid.flat, (p for row in rows for p in row), strict=True):
        if panel is None:
            axes.remove()
        else:
            _draw(picture, panel, axes)
    if picture.key:
        handles = [_handle(label, look, (0, 0, 1, 1)) for label, look in picture.key.items()]
        whole.legend(handles=handles, loc="outside lower center", ncols=key_columns)
    whole.draw_without_rendering()  # lays it out, once for all kinds of files
    whole.set_layout_engine("none")
    return whole


def _draw(picture: Picture, panel: Panel, axes: Axes) -> None:
    letters = int(picture.size[0] * TITLE_LETTERS_AN_INCH)
    lines = [fill(line, letters, break_on_hyphens=False) for line in panel.title.splitlines()]
    axes.set_title("\n".join(lines))
    panel.draw(axes)


def _side_by_side(picture: Picture) -> Grid:
    """Return the rows; if each is a single panel, several of them on a line."""
    panels = picture.panels
    columns = min(len(panels), max(1, int(PAPER_WIDTH / picture.size[0])))
    if columns < 2 or any(len(row) > 1 for row in picture.rows):
        return picture.rows
    padded: list[Panel | None] = [*panels, *[None] * (-len(panels) % columns)]
    return [padded[i : i + columns] for i in range(0, len(padded), columns)]


def _key_columns(picture: Picture, inches: float) -> int:
    """Return how many entries fit below the panels, in rows of similar length."""
    most = max(1, int(inches / (0.62 + 0.068 * max(map(len, picture.key)))))
    n_rows = -(-len(picture.key) // most)
    return -(-len(picture.key) // n_rows)


def _handle(label: str, look: Look, place: tuple[float, float, float, float]) -> Artist:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if "facecolor" in look:
        return Rectangle(place[:2], *place[2:], label=label, **look)
    return Line2D([0.0, 0.5, 1.0], [0.5, 0.5, 0.5], markevery=[1], label=label, **look)


@contextmanager
def _own_settings() -> Iterator[None]:
    """Ignore the user's own matplotlibrc."""
    import matplotlib

    settings: Any = SETTINGS  # its keys are plain text here
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def _saved(of: Figure, **how: Any) -> bytes:
    target = io.BytesIO()
    of.savefig(target, **how)
    return target.getvalue()
