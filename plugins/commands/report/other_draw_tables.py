"""The table of what choices cost on their own calibration draw and on the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.data import Study, select
from prunekit.plugins.commands.report.other_draws import FEWEST, MEANS, other_draws
from prunekit.plugins.commands.report.sections import sections
from prunekit.plugins.commands.report.table import Column, Entry, Table
from prunekit.plugins.commands.report.tables import KEYS, entries

if TYPE_CHECKING:
    import pandas as pd

HEADS = ("own draw", "other draws", "gap")


def other_draw_tables(study: Study) -> list[Table]:
    """Show losses above dense: on the samples of a search, and on those of the other draws."""
    found = other_draws(study)
    return [
        Table(
            _title(study, objective, of),
            [*KEYS, *map(Column, HEADS)],
            sections(study, of, _columns),
        )
        for objective in study.objectives
        if len(of := select(found, objective=objective))
    ]


def _title(study: Study, objective: str, found: pd.DataFrame) -> str:
    title = (
        f"Loss above dense in {study.units[objective]} of what searches under {objective} chose, "
        "on the calibration draw of the search and on the other draws; the gap is the difference"
    )
    if found["draws"].max() >= FEWEST:
        title += "; ± is a standard error over draws, by the jackknife"
    return title


def _columns(group: pd.DataFrame) -> list[Sequence[Entry]]:
    return [entries(group[n].tolist(), group[f"{n} ±"].tolist(), 4) for n in MEANS]
