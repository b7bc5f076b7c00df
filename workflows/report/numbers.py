"""The numbers behind the figures as plain rows: overlaps, parts of variance, rank correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prunekit.workflows.report.correlation import compare_ranks
from prunekit.workflows.report.figures.variance import OUTCOMES, variances
from prunekit.workflows.report.measures import conditions
from prunekit.workflows.report.overlap import overlaps
from prunekit.workflows.report.reading import Study
from prunekit.workflows.report.table import Column, Entry, Table
from prunekit.workflows.report.wording import number

Row = Mapping[str, object]


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


def correlation_rows(study: Study) -> list[Row]:
    """Spearman's rho of perplexity and accuracy ranks in every condition."""
    return [
        {**vars(c), "searchers": len(found.searchers), "ρ": found.rho, "p": found.p}
        for c in conditions(study)
        if (found := compare_ranks(study, c)) is not None
    ]


def as_table(title: str, rows: Sequence[Row]) -> Table:
    """Rows for people: numbers to three digits, a rule where the first value changes."""
    columns = [Column(name, is_number=_is_number(rows, name)) for name in rows[0]]
    sections: list[list[list[Entry]]] = []
    first: object = None
    for row in rows:
        if not sections or row[columns[0].name] != first:
            first = row[columns[0].name]
            sections.append([])
        sections[-1].append([Entry(_text(value)) for value in row.values()])
    return Table(title, columns, sections)


def _is_number(rows: Sequence[Row], name: str) -> bool:
    return not any(isinstance(row[name], str) for row in rows)


def _text(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return "–" if value is None else str(value)
