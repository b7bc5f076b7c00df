"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from prunekit.plugins.commands.report.drawing import draw_mark, draw_panel
from prunekit.plugins.commands.report.gaps import gaps
from prunekit.plugins.commands.report.picture import LeftOut, Picture
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.style import INK
from prunekit.plugins.commands.report.table import Table
from prunekit.plugins.commands.report.wording import count, listed

if TYPE_CHECKING:
    from markupsafe import Markup


WIDEST = 4
"""panels side by side"""


@dataclass(frozen=True)
class Shown:
    """A figure as the template needs it: its parts drawn."""

    number: int
    picture: Picture
    columns: int
    panels: Sequence[Markup]
    key: Sequence[tuple[Markup, str]]


def prepare(number: int, picture: Picture) -> Shown:
    """Draw the parts of a figure for the page."""
    from markupsafe import Markup  # the SVGs are our own, with every text in them escaped

    panels = [
        Markup(inline(draw_panel(picture, panel), f"f{number}p{i}-", panel.alt))
        for i, panel in enumerate(picture.panels)
    ]
    key = [
        (Markup(inline(draw_mark(mark), f"f{number}k{i}-", "")), mark.label)
        for i, mark in enumerate(picture.key)
    ]
    columns = min(WIDEST, max(sum(panel is not None for panel in row) for row in picture.rows))
    return Shown(number, picture, columns, panels, key)


def render(
    study: Study,
    figures: Sequence[Shown],
    left_out: Sequence[LeftOut],
    tables: Mapping[str, Sequence[Table]],
) -> str:
    """The page as text; the tables stand under their headings."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("prunekit.plugins.commands.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=_title(study),
        facts=_facts(study),
        gaps=gaps(study),
        figures=figures,
        left_out=left_out,
        tables=tables,
        version=version("prunekit"),
    )


def _title(study: Study) -> str:
    return "Which blocks can go: " + listed(
        [
            count(len(study.models), "model"),
            count(len(study.objectives), "objective"),
            count(len(study.searchers), "searcher"),
        ]
    )


def _facts(study: Study) -> list[tuple[str, str]]:
    blocks = {run.cell.model: run.result.n_blocks for run in study.runs}
    models = [f"{m} ({blocks[m]} blocks)" if m in blocks else m for m in study.models]
    objectives = [f"{o} ({study.units[o]})" if o in study.units else o for o in study.objectives]
    return [
        ("Models", ", ".join(models)),
        ("Objectives", ", ".join(objectives)),
        ("Searchers", ", ".join(study.searchers)),
        ("Blocks removed", listed(study.budgets)),
        ("Seeds", ", ".join(map(str, study.seeds))),
        ("Calibration draws", ", ".join(map(str, study.draws))),
        ("Searches", f"{len(study.runs):,} of {len(study.planned):,} finished"),
        ("Evaluated on", ", ".join([*study.tasks, *study.protocols]) or "nothing"),
    ]


NAMESPACE = re.compile(r"^\{[^}]*\}")
REFERENCE = re.compile(r"(url\()?#([\w-]+)")
NOT_DRAWN = ("metadata", "style")


def inline(svg: str, prefix: str, alt: str) -> str:
    """The `<svg>` element of a picture, for use within HTML.

    `prefix` must differ for every picture of a page. An empty `alt` marks a mere ornament.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if NAMESPACE.sub("", child.tag) in NOT_DRAWN:
                parent.remove(child)
    for element in root.iter():
        element.tag = NAMESPACE.sub("", element.tag)
        element.attrib = {
            NAMESPACE.sub("", name): _adapted(NAMESPACE.sub("", name), value, prefix)
            for name, value in element.attrib.items()
        }
    described = {"role": "img", "aria-label": alt} if alt else {"aria-hidden": "true"}
    root.attrib = {"viewBox": root.attrib["viewBox"], **described}
    return ElementTree.tostring(root, encoding="unicode")


def size(svg: str) -> tuple[float, float]:
    """Width and height in points."""
    _, _, width, height = ElementTree.fromstring(svg).attrib["viewBox"].split()
    return float(width), float(height)


def _adapted(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" or "url(#" in value:
        return REFERENCE.sub(rf"\g<1>#{prefix}\g<2>", value)
    return value.replace(INK, "currentColor")
