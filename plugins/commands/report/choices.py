"""What each cell of a study chose, and the command that takes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import words
from prunekit.engine.conditions import condition
from prunekit.engine.escaping import one_line, shell_word
from prunekit.engine.study_folder import Cell, CellResult, StudyFolder
from prunekit.plugins.commands.report.sheets import Sheet
from prunekit.plugins.commands.report.table import Column, Entry, Table

if TYPE_CHECKING:
    import pandas as pd

NAME = "choices"
TITLE = (
    "What each search chose, or the winner among its finalists, and the command that writes it; "
    "evaluate and latency take the same --run"
)


def choices(study: Path) -> Sheet:
    """List the finished cells."""
    folder = StudyFolder(study)
    outcomes = [folder.cell(cell) for cell in folder.cells()]
    rows = [_row(study.absolute().name, o) for o in outcomes if isinstance(o, CellResult)]
    return Sheet(NAME, "Every choice", [_table(rows)] if rows else [], _frame(rows))


def described(cell: Cell) -> dict[str, Any]:
    """Return what tables say of a cell: what was searched, how, and on which draw."""
    return {
        "model": one_line(cell.model),
        "objective": one_line(condition(cell.objective, cell.calibration)),
        "budget": cell.budget,
        "searcher": one_line(cell.searcher),
        "seed": cell.seed,
        "draw": cell.draw,
    }


def _row(study: str, found: CellResult) -> dict[str, Any]:
    cell = found.cell
    return {
        **described(cell),
        "removed": words(found.choices[-1]),
        "command": f"prunekit export --run {shell_word(f'{study}/{cell.id}')} --to pruned",
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    numbers = ("budget", "seed", "draw")
    columns = [Column(name, is_number=name in numbers) for name in rows[0]]
    return Table(TITLE, columns, [[[Entry(str(x)) for x in row.values()] for row in rows]])


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
