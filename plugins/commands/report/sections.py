"""Sections of a table with a row for each model, budget and searcher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prunekit.plugins.commands.report.data import Study, select
from prunekit.plugins.commands.report.table import Entry, Row

if TYPE_CHECKING:
    import pandas as pd


def sections(
    study: Study, found: pd.DataFrame, columns: Callable[[pd.DataFrame], list[Sequence[Entry]]]
) -> list[list[Row]]:
    """Return a section for each model and budget; `columns` gives what follows the names."""
    return [
        _rows(study, group, columns(group))
        for model in study.models
        for _, group in select(found, model=model).groupby("budget")
    ]


def _rows(study: Study, group: pd.DataFrame, columns: list[Sequence[Entry]]) -> list[Row]:
    keys = zip(group["model"], group["budget"], group["searcher"], strict=True)
    named = [[Entry(study.short[model]), Entry(str(k)), Entry(s)] for model, k, s in keys]
    return [[*name, *row] for name, *row in zip(named, *columns, strict=True)]
