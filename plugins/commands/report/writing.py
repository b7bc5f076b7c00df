"""`prunekit report`: read a study, write its tables, its figures and its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prunekit.core.errors import ConfigError
from prunekit.engine.files import write_bytes, write_text
from prunekit.plugins.commands.report.drawing import draw_files
from prunekit.plugins.commands.report.figures.agreement import agreement
from prunekit.plugins.commands.report.figures.budgets import budgets
from prunekit.plugins.commands.report.figures.cost import cost
from prunekit.plugins.commands.report.figures.importance import importance
from prunekit.plugins.commands.report.figures.masks import masks
from prunekit.plugins.commands.report.figures.overlap import overlap
from prunekit.plugins.commands.report.figures.ranks import ranks
from prunekit.plugins.commands.report.figures.spread import spread
from prunekit.plugins.commands.report.figures.variance import variance
from prunekit.plugins.commands.report.gaps import Gap, gaps
from prunekit.plugins.commands.report.page import prepare, render
from prunekit.plugins.commands.report.picture import LeftOut, Picture
from prunekit.plugins.commands.report.reading import read_study
from prunekit.plugins.commands.report.sheets import SHEETS, Sheet, sheets
from prunekit.plugins.commands.report.table import Table
from prunekit.plugins.commands.report.tables import overview

FIGURES = (masks, importance, overlap, agreement, variance, ranks, spread, cost, budgets)
NAMES = tuple(draw.__name__ for draw in FIGURES)
PAGE = "report.html"
SIGN = "Made by prunekit"
"""Stands on every page, so that a folder is known as that of an earlier report."""
UNFINISHED = ".unfinished-report"
"""Says the same until there is a page."""


@dataclass(frozen=True)
class Report:
    """What was written, and what there was to say."""

    folder: Path
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...]
    gaps: tuple[Gap, ...]
    overview: tuple[Table, ...]
    """each searcher in one number a model, for each objective"""

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.folder / PAGE


def report(
    study: str | Path,
    to: str | Path | None = None,
    advance: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Write `tables/`, `figures/` and `report.html` of a study, into its `report/` or into `to`.

    The same study gives the same files. A study that is not finished gives a report on what is
    there. `advance` is told how many figures are made, and of how many.

    Raises ConfigError where `study` is no study or has nothing to show, or where that folder holds
    other things than an earlier report or is a link, and StorageError where a file cannot be
    written; files that stood there before are replaced one by one, the page last.
    """
    folder = Path(study) / "report" if to is None else Path(to)
    found = read_study(Path(study))
    if not found.runs and not found.importances:
        raise ConfigError(
            f"{study}: nothing to report yet: of {len(found.planned)} cells none has finished"
            f"{f' and {len(found.failures)} failed' if found.failures else ''}; run "
            "`prunekit study` on it first"
        )
    _check_room(folder, named=to is not None)
    pictures = [draw(found) for draw in FIGURES]
    drawn = tuple(picture for picture in pictures if isinstance(picture, Picture))
    left_out = tuple(picture for picture in pictures if isinstance(picture, LeftOut))
    of_study = sheets(found)
    short = tuple(overview(found))
    write_text(folder / UNFINISHED, SIGN + "\n")
    written = _write_sheets(folder, of_study)
    figures = []
    for number, picture in enumerate(drawn, 1):
        written += _write_figure(folder, picture)
        figures.append(prepare(number, picture))
        advance(number, len(drawn))
    _remove_stale(folder, set(written))
    tables = {"In short": short} | {sheet.heading: sheet.tables for sheet in of_study}
    page = render(found, figures, left_out, tables)
    write_text(folder / PAGE, page)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return Report(folder, drawn, left_out, tuple(gaps(found)), short)


def _check_room(folder: Path, named: bool) -> None:
    """ConfigError where a report would overwrite something else, or be led to another place.

    Only a folder that the user named may be a symbolic link.
    """
    parts = [folder / "tables", folder / "figures"]
    for path in parts if named else (folder, *parts):
        if path.is_symlink():
            raise ConfigError(f"{path}: a symbolic link, which a report does not follow; remove it")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not any(map(_is_signed, (folder / PAGE, folder / UNFINISHED))):
        raise ConfigError(
            f"{folder}: neither empty nor an earlier report of prunekit; name another folder"
        )


def _is_signed(path: Path) -> bool:
    return path.is_file() and SIGN in path.read_text(encoding="utf-8", errors="replace")


def _write_sheets(folder: Path, of_study: Sequence[Sheet]) -> list[Path]:
    files = {f"{s.name}.{ending}": text for s in of_study for ending, text in s.files.items()}
    for name, text in files.items():
        write_text(folder / "tables" / name, text)
    return [folder / "tables" / name for name in files]


def _write_figure(folder: Path, picture: Picture) -> list[Path]:
    files = draw_files(picture)
    paths = [folder / "figures" / f"{picture.name}.{ending}" for ending in files]
    for path, content in zip(paths, files.values(), strict=True):
        write_bytes(path, content)
    return paths


def _remove_stale(folder: Path, written: set[Path]) -> None:
    """Files of an earlier report that this one lacks; nothing else that may lie there."""
    figures = [folder / "figures" / f"{name}.{end}" for name in NAMES for end in ("png", "svg")]
    tables = [
        folder / "tables" / f"{name}.{end}" for name in SHEETS for end in ("csv", "md", "tex")
    ]
    for path in {*figures, *tables} - written:
        path.unlink(missing_ok=True)
