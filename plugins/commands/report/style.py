"""The style of figures: colours of Okabe and Ito, each with a marker or a hatch of its own.

The palette is safe for all common forms of colour blindness; markers and hatches make figures
readable in black and white.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

INK = "#24292f"
"""Text, axes and edges; the page replaces it with its own text colour."""

GREY = "#8c8c8c"
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, YELLOW = "#e69f00", "#56b4e9", "#f0e442"

SEARCHER_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, GREY, YELLOW)
SEARCHER_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h")
OBJECTIVE_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
OBJECTIVE_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")

SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GREY,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "figure.constrained_layout.w_pad": 0.09,
    "figure.constrained_layout.h_pad": 0.06,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # text stays text, which journals ask for
    "text.parse_math": False,
    "svg.hashsalt": "prunekit",
}


def searcher_looks(searchers: Sequence[str], line: str = "none") -> dict[str, dict[str, Any]]:
    """Return line keywords, different for every searcher of the study."""
    pairs = zip(itertools.cycle(SEARCHER_COLOURS), itertools.cycle(SEARCHER_MARKERS))
    return {
        searcher: {
            "color": colour,
            "marker": marker,
            "markersize": 6,
            "markeredgecolor": INK,
            "markeredgewidth": 0.6,
            "linestyle": line,
        }
        for searcher, (colour, marker) in zip(searchers, pairs, strict=False)
    }


def objective_looks(objectives: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return patch keywords, different for every objective of the study."""
    pairs = zip(itertools.cycle(OBJECTIVE_COLOURS), itertools.cycle(OBJECTIVE_HATCHES))
    return {
        objective: {"facecolor": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.5}
        for objective, (colour, hatch) in zip(objectives, pairs, strict=False)
    }
