"""Tables of what a variance is due to, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.intervals import Shares, interval, shares_without_each
from prunekit.plugins.commands.report.table import Column, Entry, Table
from prunekit.plugins.commands.report.variance import OUTCOMES, Bars, variances
from prunekit.plugins.commands.report.wording import number

NOTHING = "–"
SHARE_NOTE = (
    "; 95% intervals by the jackknife, over draws, and in the row of all over models and budgets"
)


def variance_tables(study: Study) -> list[Table]:
    """Show shares of the variance: a table for each outcome, a row for each model and budget."""
    found = {outcome: variances(study, outcome) for outcome in OUTCOMES}
    return [
        _variance_table(outcome.title, bars, shares_without_each(study, outcome, bars))
        for outcome, bars in found.items()
        if bars
    ]


def _variance_table(outcome: str, bars: Bars, without: Mapping[str, Sequence[Shares]]) -> Table:
    names = list(dict.fromkeys(name for parts in bars.values() for name in parts.parts))
    rows = [
        [
            Entry(where),
            *(_share(parts.shares, without.get(where, []), name) for name in names),
            Entry(number(parts.total)),
        ]
        for where, parts in bars.items()
    ]
    heads = [Column("where", is_number=False), *map(Column, names), Column("variance")]
    title = f"Variance of {outcome}: what it is due to, in %, and how much it is"
    return Table(f"{title}{SHARE_NOTE if without else ''}", heads, [rows])


def _share(shares: Shares, without: Sequence[Shares], name: str) -> Entry:
    """Format a share in percent with its interval."""
    ends = interval(shares, without, name) if name in shares else None
    text = f"{100 * shares[name]:.1f}" if name in shares else NOTHING
    return Entry(f"{text} ({100 * ends[0]:.0f} to {100 * ends[1]:.0f})" if ends else text)
