"""The tables of a report as files and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prunekit.plugins.commands.report.measures import conditions
from prunekit.plugins.commands.report.numbers import (
    Row,
    as_table,
    correlation_rows,
    overlap_rows,
    variance_rows,
    variance_tables,
)
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.records import (
    Record,
    accuracy_row,
    cost_row,
    dense,
    perplexity_row,
    run_row,
    searched,
)
from prunekit.plugins.commands.report.table import Table, csv_text, latex, markdown
from prunekit.plugins.commands.report.tables import accuracy_tables, cost_tables, perplexity_tables

SHEETS = ("accuracy", "perplexity", "cost", "overlap", "variance", "ranks", "runs")


@dataclass(frozen=True)
class Sheet:
    """Tables of one kind; `rows` has their numbers in full."""

    name: str
    """of its files"""
    heading: str
    tables: Sequence[Table]
    rows: Sequence[Row]

    @property
    def files(self) -> dict[str, str]:
        """Its text by the ending of a file; nothing where there is nothing to show."""
        if not self.rows:
            return {}
        written = {"csv": csv_text(self.rows)}
        if self.tables:
            written |= {"md": markdown(self.tables), "tex": latex(self.tables)}
        return written


def sheets(study: Study) -> list[Sheet]:
    """Tables 1 to 3 of the study, the numbers behind the figures, and every run."""
    found = [r for c in conditions(study) for r in searched(study, c)]
    whole = [
        dense(study, model, objective)
        for objective in study.objectives
        for model in study.models
        if study.where(model=model, objective=objective)
    ]
    accurate = [r for r in [*whole, *found] if r.accuracies]
    perplexed = [r for r in [*whole, *found] if r.perplexities]
    return [
        Sheet(
            "accuracy",
            "Table 1: accuracy by task",
            accuracy_tables(study),
            [accuracy_row(r, _unit(study, r)) for r in accurate],
        ),
        Sheet(
            "perplexity",
            "Table 2: perplexity",
            perplexity_tables(study),
            [perplexity_row(r, _unit(study, r)) for r in perplexed],
        ),
        Sheet("cost", "Table 3: search cost", cost_tables(study), [cost_row(r) for r in found]),
        _numbers("overlap", "Overlap of subsets", overlap_rows(study)),
        Sheet("variance", "Parts of the variance", variance_tables(study), variance_rows(study)),
        _numbers("ranks", "Perplexity rank against accuracy rank", correlation_rows(study)),
        Sheet("runs", "Every run", [], [run_row(run) for run in study.runs]),
    ]


def _unit(study: Study, r: Record) -> str:
    return study.units[r.condition.objective]


def _numbers(name: str, heading: str, rows: Sequence[Row]) -> Sheet:
    return Sheet(name, heading, [as_table(heading, rows)] if rows else [], rows)
