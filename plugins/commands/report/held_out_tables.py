"""The table of what choices cost on their calibration set and on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.data import Study, select
from prunekit.plugins.commands.report.finals import finals
from prunekit.plugins.commands.report.sections import sections
from prunekit.plugins.commands.report.table import Column, Entry, Table
from prunekit.plugins.commands.report.tables import KEYS, entries

if TYPE_CHECKING:
    import pandas as pd

HEADS = ("calibration", "held out", "winner, held out", "overfitting", "agreement")


def held_out_tables(study: Study) -> list[Table]:
    """Show losses above dense: of the choices of searches, and of the winners among finalists."""
    found = finals(study)
    return [
        Table(_title(study, objective), [*KEYS, *map(Column, HEADS)], sections(study, of, _columns))
        for objective in study.objectives
        if len(of := select(found, objective=objective))
    ]


def _title(study: Study, objective: str) -> str:
    return (
        f"Loss above dense in {study.units[objective]} of what searches under {objective} chose, "
        "on their calibration set and on held-out samples, and of the winner among the finalists; "
        "overfitting is the difference of the first two ± its standard error; agreement is the "
        "share of blocks that another draw is expected to choose again"
    )


def _columns(group: pd.DataFrame) -> list[Sequence[Entry]]:
    pairs = [(name, f"{name} ±") for name in ("calibration", "held out", "winner")]
    pairs.append(("overfitting", "overfitting error"))
    columns: list[Sequence[Entry]] = [
        entries(group[name].tolist(), group[spread].tolist(), 4) for name, spread in pairs
    ]
    return [*columns, entries(group["agreement"].tolist(), [0.0] * len(group))]
