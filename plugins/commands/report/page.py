"""The page: one self-contained HTML file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from prunekit.core.problem import words
from prunekit.engine.study_folder import Cell
from prunekit.plugins.commands.report.data import Study, Variant
from prunekit.plugins.commands.report.drawing import LeftOut, Picture, draw_mark, draw_panel
from prunekit.plugins.commands.report.other_draws import Elsewhere, unmeasured
from prunekit.plugins.commands.report.style import INK
from prunekit.plugins.commands.report.table import Table
from prunekit.plugins.commands.report.wording import count, listed

if TYPE_CHECKING:
    from markupsafe import Markup

WIDEST = 4
"""panels side by side, at most"""
PAGE_WIDTH, LEGIBLE = 1340, 110
"""Pixels of a wide page, and those of an inch of a panel at which its smallest text can be read."""
NAMESPACE = re.compile(r"^\{[^}]*\}")
REFERENCE = re.compile(r"(url\()?#([\w-]+)")


@dataclass(frozen=True)
class Gap:
    """Something that is missing."""

    sentence: str
    items: tuple[str, ...] = ()
    """each of the things that are missing"""


@dataclass(frozen=True)
class Shown:
    """A figure as the template needs it: its parts drawn."""

    number: int
    picture: Picture
    columns: int
    panels: Sequence[Markup]
    key: Sequence[tuple[Markup, str]]


def show(number: int, picture: Picture) -> Shown:
    """Draw the parts of a figure for the page."""
    from markupsafe import Markup  # matplotlib escapes every text in its SVGs

    panels = [
        Markup(inline(draw_panel(picture, panel), f"f{number}p{i}-", panel.alt))
        for i, panel in enumerate(picture.panels)
    ]
    key = [
        (Markup(inline(draw_mark(look), f"f{number}k{i}-")), label)
        for i, (label, look) in enumerate(picture.key.items())
    ]
    return Shown(number, picture, _columns(picture), panels, key)


def _columns(picture: Picture) -> int:
    """Return how many panels are side by side: short rows share a line of the page."""
    longest = max(sum(panel is not None for panel in row) for row in picture.rows)
    room = min(WIDEST, int(PAGE_WIDTH / (LEGIBLE * picture.size[0])))
    return min(longest * max(1, room // longest), WIDEST, len(picture.panels))


def inline(svg: str, prefix: str, alt: str = "") -> str:
    """Return the `<svg>` element of a picture for use in HTML: unique ids, the page's ink, `alt`.

    `prefix` must differ for every picture of a page. An empty `alt` marks an ornament.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if NAMESPACE.sub("", child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = NAMESPACE.sub("", element.tag)
        element.attrib = {
            (local := NAMESPACE.sub("", name)): _adapted(local, value, prefix)
            for name, value in element.attrib.items()
        }
    described = {"role": "img", "aria-label": alt} if alt else {"aria-hidden": "true"}
    root.attrib = {"viewBox": root.attrib["viewBox"], **described}
    return ElementTree.tostring(root, encoding="unicode")


def _adapted(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" or "url(#" in value:
        return REFERENCE.sub(rf"\g<1>#{prefix}\g<2>", value)
    return value.replace(INK, "currentColor")


def render(
    study: Study,
    figures: Sequence[Shown],
    left_out: Sequence[LeftOut],
    tables: Mapping[str, Sequence[Table]],
) -> str:
    """Return the page as text, with the tables under their headings."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("prunekit.plugins.commands.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = [
        count(len(study.models), "model"),
        count(len(study.objectives), "objective"),
        count(len(study.searchers), "searcher"),
    ]
    return environment.get_template("report.html").render(
        title=f"Which blocks can go: {listed(parts)}",
        facts=_facts(study),
        gaps=gaps(study),
        figures=figures,
        left_out=left_out,
        tables=tables,
        version=version("prunekit"),
    )


def _facts(study: Study) -> dict[str, str]:
    blocks = dict(zip(study.runs["model"], study.runs["n_blocks"], strict=True))
    models = [f"{m} ({blocks[m]} blocks)" if m in blocks else m for m in study.models]
    objectives = [f"{o} ({study.units[o]})" if o in study.units else o for o in study.objectives]
    return {
        "Models": ", ".join(models),
        "Objectives": ", ".join(objectives),
        "Searchers": ", ".join(study.searchers),
        "Blocks removed": listed(study.budgets),
        "Seeds": ", ".join(map(str, study.seeds)),
        "Calibration draws": ", ".join(map(str, study.draws)),
        "Searches": f"{len(study.runs):,} of {len(study.planned):,} finished",
        "Evaluated on": ", ".join([*study.tasks, *study.protocols]) or "nothing",
    }


def gaps(study: Study) -> list[Gap]:
    """List failed cells, cells that did not run, and variants without a complete evaluation."""
    planned = count(len(study.planned), "cell")
    failed = tuple(f"{_cell(f.cell)}: {f.error}" for f in study.failures)
    found = [
        Gap(f"{len(failed):,} of {planned} failed", failed),
        Gap(f"{len(study.not_run):,} of {planned} have not run", tuple(map(_cell, study.not_run))),
    ]
    if study.tasks or study.protocols:
        n_missing, n_partial = (
            count(len(of), "variant") for of in (study.not_evaluated, study.incomplete)
        )
        partial = f"{n_partial} evaluated on some of the tasks or texts only, so without an average"
        found += [
            Gap(f"{n_missing} not evaluated", tuple(map(_variant, study.not_evaluated))),
            Gap(partial, tuple(map(_variant, study.incomplete))),
        ]
    found = [gap for gap in found if gap.items]
    if not study.tasks and not study.protocols:
        found.append(
            Gap("no variant was evaluated, so that accuracies and perplexities are missing")
        )
    if study.on_draws and (missing := unmeasured(study)):
        pairs = count(len(missing), "choice")
        found.append(Gap(f"{pairs} not measured on another draw", tuple(map(_on_draw, missing))))
    if len(study.runs) and not study.importances:
        found.append(Gap("the losses of single removals are missing"))
    return found


def _cell(cell: Cell) -> str:
    return (
        f"{cell.model}, {cell.objective}, {cell.searcher}, k = {cell.budget}, "
        f"seed {cell.seed}, draw {cell.draw}"
    )


def _on_draw(where: Elsewhere) -> str:
    variant = f"{where.model} without {words(where.removed)}"
    return f"{variant}, {where.objective}, draw {where.draw}"


def _variant(variant: Variant) -> str:
    model, removed = variant
    return f"{model} without {words(removed)}" if removed else f"{model}, dense"
