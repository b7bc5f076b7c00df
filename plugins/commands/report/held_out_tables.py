"""The table of what choices cost on their calibration set and on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.data import Study, select
from prunekit.plugins.commands.report.finals import finals
from prunekit.plugins.commands.report.table import Column, Entry, Row, Table
from prunekit.plugins.commands.report.tables import KEYS, entries

if TYPE_CHECKING:
    import pandas as pd

HEADS = ("calibration", "held out", "winner, held out", "overfitting", "agreement")


def held_out_tables(study: Study) -> list[Table]:
    """Show losses above dense: of the choices of searches, and of the winners among finalists."""
    found = finals(study)
    return [
        Table(_title(study, objective), [*KEYS, *map(Column, HEADS)], _sections(study, of))
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


def _sections(study: Study, found: pd.DataFrame) -> list[list[Row]]:
    return [
        _rows(study, group)
        for model in study.models
        for _, group in select(found, model=model).groupby("budget")
    ]


def _rows(study: Study, group: pd.DataFrame) -> list[Row]:
    keys = zip(group["model"], group["budget"], group["searcher"], strict=True)
    named = [[Entry(study.short[model]), Entry(str(k)), Entry(s)] for model, k, s in keys]
    pairs = [(name, f"{name} ±") for name in ("calibration", "held out", "winner")]
    pairs.append(("overfitting", "overfitting error"))
    columns: list[Sequence[Entry]] = [
        entries(group[name].tolist(), group[spread].tolist(), 4) for name, spread in pairs
    ]
    columns.append(entries(group["agreement"].tolist(), [0.0] * len(group)))
    return [[*name, *row] for name, *row in zip(named, *columns, strict=True)]
