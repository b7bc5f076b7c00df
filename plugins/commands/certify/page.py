"""The page of a certificate: verdicts as a picture, and all texts side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prunekit.plugins.commands.certify.capability import Capability
from prunekit.plugins.commands.certify.certificate import Certificate
from prunekit.plugins.commands.certify.printing import title_of

TEMPLATES = Path(__file__).parent / "templates"
WIDTH, LEFT, RIGHT = 340.0, -1.0, 0.25
"""Of a picture, in pixels, and the differences at its ends."""


def page_of(certificate: Certificate) -> str:
    """Return one self-contained HTML file."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["zip"] = zip
    names = ("baseline", "model") if certificate.baseline else ("dense", "pruned")
    return environment.get_template("certificate.html").render(
        certificate=certificate,
        title=title_of(certificate),
        names=names,
        rows=[(each, picture_of(each)) for each in certificate.capabilities],
        zero=_place(0.0),
        width=WIDTH,
        kinds=list(dict.fromkeys(each.kind for each in certificate.answers)),
    )


def picture_of(each: Capability) -> Mapping[str, float]:
    """Return the places of an interval, its middle and its bounds on a line of WIDTH."""
    at_stake = max(0.0, each.threshold.lost * (each.dense - each.chance))
    return {
        "low": _place(each.difference.low),
        "high": _place(each.difference.high),
        "value": _place(each.difference.value),
        "kept": _place(-min(each.threshold.kept, at_stake)),
        "lost": _place(-at_stake),
    }


def _place(difference: float) -> float:
    inside = min(max(difference, LEFT), RIGHT)
    return round((inside - LEFT) / (RIGHT - LEFT) * WIDTH, 1)
