"""The tables of a report as files and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prunekit.plugins.commands.report.correlation import compare_ranks
from prunekit.plugins.commands.report.figures.variance import OUTCOMES, Bars, variances
from prunekit.plugins.commands.report.measures import conditions
from prunekit.plugins.commands.report.overlap import overlaps
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
from prunekit.plugins.commands.report.table import (
    Column,
    Entry,
    Table,
    column,
    csv_text,
    latex,
    markdown,
)
from prunekit.plugins.commands.report.tables import accuracy_tables, cost_tables, perplexity_tables
from prunekit.plugins.commands.report.wording import number

Row = Mapping[str, object]
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


def overlap_rows(study: Study) -> list[Row]:
    """Mean Jaccard indices by budget and by what differs."""
    return [
        {
            "budget": budget,
            "what differs": o.factor,
            "pairs": len(o.values),
            "Jaccard": o.mean,
            "by chance": o.by_chance,
        }
        for budget in study.budgets
        for o in overlaps(study, budget=budget)
    ]


def variance_rows(study: Study) -> list[Row]:
    """Components as estimated, so also negative ones, and the shares that are drawn."""
    return [
        {
            "outcome": outcome.title,
            "where": where,
            "due to": name,
            "variance": value,
            "share (%)": 100 * parts.shares[name],
        }
        for outcome in OUTCOMES
        for where, parts in variances(study, outcome).items()
        for name, value in parts.parts.items()
    ]


def variance_tables(study: Study) -> list[Table]:
    """The shares for people: a table for each outcome, a line for each model and budget."""
    return [
        _variance_table(outcome.title, bars)
        for outcome in OUTCOMES
        if (bars := variances(study, outcome))
    ]


def _variance_table(outcome: str, bars: Bars) -> Table:
    names = list(dict.fromkeys(name for parts in bars.values() for name in parts.parts))
    lines = [[Entry(where)] for where in bars]
    for name in names:
        shares = [parts.shares.get(name) for parts in bars.values()]
        values = [None if share is None else 100 * share for share in shares]
        lines = [[*line, entry] for line, entry in zip(lines, column(values, 1), strict=True)]
    lines = [
        [*line, Entry(number(parts.total))]
        for line, parts in zip(lines, bars.values(), strict=True)
    ]
    heads = [Column("where", is_number=False), *map(Column, names), Column("variance")]
    return Table(
        f"Variance of {outcome}: what it is due to, in %, and how much it is", heads, [lines]
    )


def correlation_rows(study: Study) -> list[Row]:
    """Spearman's rho of perplexity and accuracy ranks in every condition."""
    return [
        {**vars(c), "searchers": len(found.searchers), "ρ": found.rho, "p": found.p}
        for c in conditions(study)
        if (found := compare_ranks(study, c)) is not None
    ]


def as_table(title: str, rows: Sequence[Row]) -> Table:
    """Rows for people, numbers to three digits."""
    columns = [Column(name, is_number=_is_number(rows, name)) for name in rows[0]]
    return Table(title, columns, [[[Entry(_text(value)) for value in r.values()] for r in rows]])


def _is_number(rows: Sequence[Row], name: str) -> bool:
    return not any(isinstance(row[name], str) for row in rows)


def _text(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return "–" if value is None else str(value)
