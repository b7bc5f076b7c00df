"""The cells of a study that were healed: perplexities before and after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.engine.healed import check_healed
from prunekit.engine.stored import check_stored, read_stored, restored
from prunekit.engine.study_folder import CellResult, StudyFolder
from prunekit.hf.tokens import perplexity
from prunekit.plugins.commands.heal.result import HEALED, SCHEMA, HealResult
from prunekit.plugins.commands.report.choices import described
from prunekit.plugins.commands.report.sheets import Sheet
from prunekit.plugins.commands.report.table import Column, Entry, Table
from prunekit.plugins.commands.report.wording import number

if TYPE_CHECKING:
    import pandas as pd

NAME = "healed"
TITLE = (
    "Perplexity on text that was held out of the training, of the dense model, and of the pruned "
    "one before and after healing; gained is in nats per token, with its standard error"
)


def healed(study: Path) -> Sheet:
    """List the cells that were healed, each as often as it was with other options."""
    folder = StudyFolder(study)
    rows = [
        _row(found, path)
        for cell in folder.cells()
        for path in sorted((study / HEALED).glob(f"{cell.id}.*.json"))
        if isinstance(found := folder.cell(cell), CellResult)
    ]
    return Sheet(NAME, "After healing", [_table(rows)] if rows else [], _frame(rows))


def _row(found: CellResult, path: Path) -> dict[str, Any]:
    heal = _read(path).healed
    return {
        **described(found.cell),
        "trained": heal.trained,
        "tokens": heal.tokens,
        "dense": perplexity(heal.dense),
        "pruned": perplexity(heal.before),
        "healed": perplexity(heal.after),
        "gained": heal.gain.value,
        "error": heal.gain.standard_error,
    }


def _read(path: Path) -> HealResult:
    """Read a result. Raises ConfigError if it is damaged."""

    def check(row: dict[str, Any]) -> None:
        check_stored(row, HealResult)
        check_healed(row["healed"])

    return restored(HealResult, read_stored(path, SCHEMA, {}, "heal the cell again", check))


def _table(rows: list[dict[str, Any]]) -> Table:
    words = ("model", "objective", "searcher", "trained")
    names = [name for name in rows[0] if name != "error"]
    columns = [Column(name, is_number=name not in words) for name in names]
    return Table(TITLE, columns, [[[_entry(row, name) for name in names] for row in rows]])


def _entry(row: dict[str, Any], name: str) -> Entry:
    value = row[name]
    if name == "gained":
        error = row["error"]
        return Entry(f"{value:+.4f}" + ("" if error is None else f" ± {error:.4f}"))
    return Entry(number(value, 4) if isinstance(value, float) else f"{value}")


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
