"""Write the tables, the figures and the page of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import ConfigError
from prunekit.engine.files import write_bytes, write_text
from prunekit.engine.progress import Progress
from prunekit.plugins.commands.report.choices import choices
from prunekit.plugins.commands.report.data import Study, read_study
from prunekit.plugins.commands.report.drawing import LeftOut, Picture, draw_files
from prunekit.plugins.commands.report.figures.choices import importance, masks
from prunekit.plugins.commands.report.figures.costs import budgets, cost
from prunekit.plugins.commands.report.figures.finals import held_out, repeated
from prunekit.plugins.commands.report.figures.outcomes import spread, variance
from prunekit.plugins.commands.report.figures.pairs import agreement, overlap
from prunekit.plugins.commands.report.figures.progress import best_so_far
from prunekit.plugins.commands.report.figures.ranks import ranks
from prunekit.plugins.commands.report.healed import healed
from prunekit.plugins.commands.report.loading import study_folder
from prunekit.plugins.commands.report.page import Gap, gaps, render, show
from prunekit.plugins.commands.report.sheets import SHEETS, Sheet, sheets
from prunekit.plugins.commands.report.table import Table
from prunekit.plugins.commands.report.tables import overview

FIGURES = (
    *(masks, importance, overlap, agreement, variance, ranks, spread, cost, best_so_far, budgets),
    *(held_out, repeated),
)
NAMES = tuple(make.__name__ for make in FIGURES)
PAGE = "report.html"
SIGN = "Made by prunekit"
"""On every page, to recognise the folder of an earlier report."""
UNFINISHED = ".unfinished-report"
"""Marks the folder until there is a page."""


@dataclass(frozen=True)
class Report:
    """The files of a report, and what it lacks."""

    folder: Path
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...]
    gaps: tuple[Gap, ...]
    overview: tuple[Table, ...]
    """each searcher in one number a model, for each objective"""

    @property
    def page(self) -> Path:
        """Return the path of the page."""
        return self.folder / PAGE


def report(
    study: str | Path,
    to: str | Path | None = None,
    *,
    workdir: str | Path = "prunekit-runs",
    progress: Reporting = False,
) -> Report:
    """Write `tables/`, `figures/` and `report.html` of a study, into its `report/` or into `to`.

    `study` is its folder, or its name under `workdir`.
    The same study gives the same files. An unfinished study gives a report on the results so far.

    Raises ConfigError if `study` is not a study or has nothing to show, or if the folder is a link
    or holds anything but an earlier report, and StorageError if a file cannot be written. Earlier
    files are replaced one by one, the page last.
    """
    place = study_folder(Path(study), Path(workdir))
    folder = place / "report" if to is None else Path(to)
    found = read_study(place)
    if found.runs.empty and not found.importances:
        raise ConfigError(
            f"{study}: nothing to report yet: of {len(found.planned)} cells none has finished"
            f"{f' and {len(found.failures)} failed' if found.failures else ''}; run "
            "`prunekit study` on it first"
        )
    _check_room(folder, named=to is not None)
    made = [make(found) for make in FIGURES]
    drawn = tuple(picture for picture in made if isinstance(picture, Picture))
    left_out = tuple(picture for picture in made if isinstance(picture, LeftOut))
    short = tuple(overview(found))
    of_study = [*sheets(found), choices(place), healed(place)]
    with reporting(progress) as shown:
        _write(folder, found, of_study, drawn, left_out, short, shown)
    return Report(folder, drawn, left_out, tuple(gaps(found)), short)


def _write(
    folder: Path,
    study: Study,
    of_study: Sequence[Sheet],
    drawn: Sequence[Picture],
    left_out: Sequence[LeftOut],
    short: Sequence[Table],
    progress: Progress,
) -> None:
    write_text(folder / UNFINISHED, SIGN + "\n")
    written = _write_sheets(folder, of_study)
    shown = []
    for number, picture in enumerate(drawn, 1):
        written += _write_figure(folder, picture)
        shown.append(show(number, picture))
        progress.count("drawing", number, len(drawn), "figures")
    _remove_stale(folder, set(written))
    tables = {"In short": short} | {sheet.heading: sheet.tables for sheet in of_study}
    write_text(folder / PAGE, render(study, shown, left_out, tables))
    (folder / UNFINISHED).unlink(missing_ok=True)


def _check_room(folder: Path, named: bool) -> None:
    """Raise ConfigError if a report would overwrite something else, or follow a link.

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
    """Remove files of an earlier report that this one lacks, and no others."""
    ends = ("pdf", "png", "svg")
    figures = [folder / "figures" / f"{name}.{end}" for name in NAMES for end in ends]
    tables = [
        folder / "tables" / f"{name}.{end}" for name in SHEETS for end in ("csv", "md", "tex")
    ]
    for path in {*figures, *tables} - written:
        path.unlink(missing_ok=True)
