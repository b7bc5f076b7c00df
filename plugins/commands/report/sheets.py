"""The tables of a report with their numbers in full: a frame each, written as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import words
from prunekit.plugins.commands.report.columns import CELL, LOSSES, RESULT
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.finals import finals
from prunekit.plugins.commands.report.held_out_tables import held_out_tables
from prunekit.plugins.commands.report.intervals import interval, shares_without_each
from prunekit.plugins.commands.report.measures import conditions
from prunekit.plugins.commands.report.other_draw_tables import other_draw_tables
from prunekit.plugins.commands.report.other_draws import other_draws
from prunekit.plugins.commands.report.overlap import overlaps
from prunekit.plugins.commands.report.ranks import compare_ranks
from prunekit.plugins.commands.report.share_tables import variance_tables
from prunekit.plugins.commands.report.table import Column, Entry, Table, csv_text, latex, markdown
from prunekit.plugins.commands.report.tables import (
    NOTHING,
    accuracy_tables,
    cost_tables,
    perplexity_tables,
    records,
)
from prunekit.plugins.commands.report.variance import OUTCOMES, variances
from prunekit.plugins.commands.report.wording import number

if TYPE_CHECKING:
    import pandas as pd

SHEETS = (
    *("accuracy", "perplexity", "cost", "held_out", "other_draws", "overlap", "variance", "ranks"),
    *("runs", "choices", "healed"),
)
KEYS = {name: name for name in ("model", "objective", "budget", "searcher", "runs")}
COSTS = {
    "asked": "asked",
    "block_runs": "block forwards",
    "block_runs_unshared": "block forwards unshared",
    "seconds": "seconds",
}


@dataclass(frozen=True)
class Sheet:
    """Tables of one kind; `frame` has their numbers in full."""

    name: str
    """of its files"""
    heading: str
    tables: Sequence[Table]
    frame: pd.DataFrame

    @property
    def files(self) -> dict[str, str]:
        """Return the texts by file extension; empty if there is nothing to show."""
        if self.frame.empty:
            return {}
        written = {"csv": csv_text(self.frame)}
        if self.tables:
            written |= {"md": markdown(self.tables), "tex": latex(self.tables, self.name)}
        return written


def sheets(study: Study) -> list[Sheet]:
    """Make Tables 1 to 3 of the paper, the numbers behind the figures, and a list of all runs."""
    protocols = {column: name for name, column in study.protocols.items()}
    tasks = {column: column for column in study.tasks.values()}
    return [
        Sheet(
            "accuracy",
            "Table 1: accuracy by task",
            accuracy_tables(study),
            _scores(study, tasks, "accuracy", "average (%)"),
        ),
        Sheet(
            "perplexity",
            "Table 2: perplexity",
            perplexity_tables(study),
            _scores(study, protocols, "perplexity", "average"),
        ),
        Sheet("cost", "Table 3: search cost", cost_tables(study), _costs(study)),
        Sheet(
            "held_out",
            "Calibration against held-out",
            held_out_tables(study),
            finals(study).assign(unit=lambda found: found["objective"].map(study.units)),
        ),
        Sheet(
            "other_draws",
            "Own draw against other draws",
            other_draw_tables(study),
            other_draws(study).assign(unit=lambda found: found["objective"].map(study.units)),
        ),
        _numbers("overlap", "Overlap of subsets", _overlaps(study)),
        Sheet("variance", "Parts of the variance", variance_tables(study), _variances(study)),
        _numbers("ranks", "Perplexity rank against accuracy rank", _correlations(study)),
        Sheet("runs", "Every run", [], _runs(study)),
    ]


def _scores(study: Study, parts: Mapping[str, str], column: str, average: str) -> pd.DataFrame:
    """Return the scores and the calibration loss of all that was evaluated."""
    found = records(study).dropna(subset=["loss"]).dropna(subset=[*parts], how="all")
    there = {name: title for name, title in parts.items() if found[name].notna().any()}
    losses = {"loss": "calibration loss", "difference": "loss above dense"}
    names = _with_deviations({column: average, **losses})
    titles = {**KEYS, **there, **names}
    return (
        found[[*titles]]
        .set_axis([*titles.values()], axis=1)
        .assign(unit=found["objective"].map(study.units))
    )


def _costs(study: Study) -> pd.DataFrame:
    qualities = {"accuracy": "average accuracy (%)", "perplexity": "average perplexity"}
    names = {
        **KEYS,
        **_with_deviations(COSTS),
        "signals": "signals",
        **_with_deviations(qualities),
    }
    return study.means[[*names]].set_axis([*names.values()], axis=1)


def _with_deviations(titles: Mapping[str, str]) -> dict[str, str]:
    pairs = [((n, title), (f"{n} ±", f"{title}, deviation")) for n, title in titles.items()]
    return dict(of for pair in pairs for of in pair)


def _overlaps(study: Study) -> pd.DataFrame:
    """Return mean Jaccard indices by budget and by the factor that differs."""
    return _frame(
        {
            "budget": budget,
            "what differs": o.factor,
            "pairs": len(o.values),
            "Jaccard": o.mean,
            "by chance": o.by_chance,
        }
        for budget in study.budgets
        for o in overlaps(study, budget=budget)
    )


def _variances(study: Study) -> pd.DataFrame:
    """Return components as estimated, also negative ones, and the shares that are drawn."""
    rows = []
    for outcome in OUTCOMES:
        bars = variances(study, outcome)
        without = shares_without_each(study, outcome, bars)
        for where, parts in bars.items():
            for name, value in parts.parts.items():
                ends = interval(parts.shares, without.get(where, []), name) or (math.nan,) * 2
                row = {"outcome": outcome.title, "where": where, "due to": name}
                shares = {"share (%)": parts.shares[name], "from (%)": ends[0], "to (%)": ends[1]}
                percents = {title: 100 * share for title, share in shares.items()}
                rows.append({**row, "variance": value, **percents})
    return _frame(rows)


def _correlations(study: Study) -> pd.DataFrame:
    """Return Spearman's rho of perplexity and accuracy ranks in every condition."""
    return _frame(
        {
            **c._asdict(),
            "searchers": len(found.searchers),
            "distinct choices": found.distinct,
            "ρ": found.rho,
            "p": found.p,
        }
        for c in conditions(study)
        if (found := compare_ranks(study, c)) is not None
    )


def _runs(study: Study) -> pd.DataFrame:
    """Return all numbers of every run."""
    accuracy = {"accuracy": "average accuracy (%)", "accuracy_error": "its standard error"}
    protocols = {column: name for name, column in study.protocols.items()}
    calibration = ["calibration"] if any(study.runs["calibration"]) else []
    titles = {name: name for name in (*CELL, *calibration, *RESULT, *study.tasks.values())}
    titles |= {**accuracy, **protocols, "perplexity": "average perplexity"}
    infinite = {name: study.runs[name].replace(math.inf, math.nan) for name in LOSSES}
    found = study.runs.assign(
        removed=study.runs["removed"].map(words),
        signals=study.runs["signals"].map(" ".join),
        **infinite,
    )
    return found[[*titles]].set_axis([*titles.values()], axis=1)


def _frame(rows: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([*rows])


def _numbers(name: str, heading: str, frame: pd.DataFrame) -> Sheet:
    """Show numbers to three digits, as they are in the frame."""
    from pandas.api.types import is_numeric_dtype

    columns = [Column(n, is_number=is_numeric_dtype(frame[n])) for n in frame]
    rows = [[Entry(_text(x)) for x in row] for row in frame.itertuples(index=False)]
    return Sheet(name, heading, [Table(heading, columns, [rows])] if rows else [], frame)


def _text(value: object) -> str:
    if isinstance(value, float):
        return NOTHING if math.isnan(value) else number(value)
    return str(value)
