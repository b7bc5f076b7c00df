"""What a figure is before it is drawn: panels in a grid, a key, and what it says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported only where something is drawn
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Panel:
    """One part of a figure that can be read by itself."""

    title: str
    alt: str
    """what a reader who cannot see it would want to know"""
    draw: Callable[[Axes], None]


def without_gaps(rows: Sequence[Sequence[Panel | None]]) -> list[list[Panel | None]]:
    """The grid without the rows and columns in which there is nothing to draw."""
    columns = [i for i, of in enumerate(itertools.zip_longest(*rows)) if any(of)]
    return [[row[i] for i in columns if i < len(row)] for row in rows if any(row)]


@dataclass(frozen=True)
class Mark:
    """An entry of a key, and how it looks: keywords of a line, or of a patch."""

    label: str
    look: Mapping[str, Any]
    is_patch: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure of the report."""

    name: str
    """of its files"""
    title: str
    sentence: str
    """what it shows, told from the data"""
    reading: str
    """how it is read"""
    rows: Sequence[Sequence[Panel | None]]
    size: tuple[float, float]
    """of a panel, in inches"""
    key: Sequence[Mark] = field(default=())

    @property
    def panels(self) -> list[Panel]:
        """In reading order."""
        return [panel for row in self.rows for panel in row if panel is not None]


@dataclass(frozen=True)
class LeftOut:
    """A figure that would make no sense, and why."""

    name: str
    title: str
    reason: str
