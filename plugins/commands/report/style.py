"""The style of figures: colours of Okabe and Ito, each with a marker or a hatch of its own.

The palette is safe for all common forms of colour blindness; markers and hatches make figures
readable in black and white. A look belongs to a name, so that a searcher or an objective looks the
same in every report, whatever else is in it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

INK = "#24292f"
"""Text, axes and edges; the page replaces it with its own text colour."""

GREY = "#8c8c8c"
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, YELLOW = "#e69f00", "#56b4e9", "#f0e442"

Look: TypeAlias = tuple[str, str]
"""A colour, and a marker or a hatch."""

SEARCHERS: Mapping[str, Look] = {
    "one-shot": (BLUE, "o"),
    "greedy": (ORANGE, "s"),
    "beam": (GREEN, "^"),
    "genetic": (VERMILION, "D"),
    "bayesian": (SKY, "v"),
    "cbo": (PURPLE, "P"),
    "fast-block-select": (GREY, "X"),
    "random": (YELLOW, "H"),
    "relative-magnitude": (YELLOW, "*"),
}
"""The seven of the study, which are in most reports, and their control have a colour each."""
OBJECTIVES: Mapping[str, Look] = {
    "ppl": (BLUE, ""),
    "margin": (VERMILION, "////"),
    "kl": (GREEN, "...."),
    "choice": (PURPLE, "xxxx"),
    "mix": (ORANGE, "\\\\\\\\"),
}
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW)
OTHER_SEARCHERS: Sequence[Look] = tuple(itertools.product(COLOURS, ("p", "<", ">", "h", "d")))
OTHER_OBJECTIVES: Sequence[Look] = tuple(itertools.product(COLOURS, ("---", "++++", "ooo", "||||")))

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
    return {
        searcher: {
            "color": colour,
            "marker": marker,
            "markersize": 6,
            "markeredgecolor": INK,
            "markeredgewidth": 0.6,
            "linestyle": line,
        }
        for searcher, (colour, marker) in _looks(searchers, SEARCHERS, OTHER_SEARCHERS).items()
    }


def objective_looks(objectives: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return patch keywords, different for every objective of the study."""
    return {
        objective: {"facecolor": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.5}
        for objective, (colour, hatch) in _looks(objectives, OBJECTIVES, OTHER_OBJECTIVES).items()
    }


def _looks(
    names: Iterable[str], own: Mapping[str, Look], others: Sequence[Look]
) -> dict[str, Look]:
    """Return the look of each name: its own, or one by its spelling; if that is taken, the next."""
    found = {name: own[name] for name in names if name in own}
    for name in sorted(set(names) - own.keys()):
        start = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")
        turned = [others[(start + step) % len(others)] for step in range(len(others))]
        found[name] = next((look for look in turned if look not in found.values()), turned[0])
    return {name: found[name] for name in names}
