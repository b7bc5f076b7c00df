"""Tables 1 to 3 of the paper for every objective, its variances, and an overview."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from prunekit.plugins.commands.report.averages import average
from prunekit.plugins.commands.report.data import Study, select
from prunekit.plugins.commands.report.measures import (
    Condition,
    Measure,
    item_error,
    quality,
    uncounted,
)
from prunekit.plugins.commands.report.table import Column, Entry, Row, Table
from prunekit.plugins.commands.report.telling import alike
from prunekit.plugins.commands.report.wording import number

if TYPE_CHECKING:
    import pandas as pd

METHOD = (Column("k", repeats=True), Column("method", is_number=False))
KEYS = (Column("model", is_number=False, repeats=True), *METHOD)
MODELS_A_TABLE = 3
NOTHING = "–"
GUESSING = "guessing"
"""The name of the row of what guessing would score."""
UNSURE = "unsure"
UNSURE_NOTE = (
    "; nothing is marked where the best cannot be told apart from another at 5% over its items or "
    "samples (Holm)"
)
Best = Callable[[Sequence[float]], float]


class Field(NamedTuple):
    """The format of a table column that is filled from a frame."""

    name: str
    digits: int = 2
    best: Best | None = None
    mark: str = "best"


def records(study: Study) -> pd.DataFrame:
    """Return the means, after the dense model and guessing for each objective and model.

    These have a budget of 0.
    """
    import pandas as pd

    rows = []
    for objective in study.objectives:
        for model in study.models:
            runs = study.where(objective=objective, model=model)
            loss = runs.drop_duplicates("draw", keep="last")["dense_loss"]
            known = {"model": model, "objective": objective, "budget": 0, "searcher": "dense"}
            known |= {"runs": 1, "signals": "", "difference": 0.0, **study.dense.get(model, {})}
            rows.append(known | average("loss", loss, range(len(loss))))
            rows.append(_guessed(study) | {"model": model, "objective": objective})
    return pd.concat([pd.DataFrame(rows, columns=study.means.columns), study.means])


def _guessed(study: Study) -> dict[str, object]:
    chances = [study.chances.get(column, math.nan) for column in study.tasks.values()]
    average = fmean(chances) if chances else math.nan
    row: dict[str, object] = {"budget": 0, "searcher": GUESSING, "signals": "", "runs": 0}
    return {**row, **study.chances, "accuracy": average}


def accuracy_tables(study: Study) -> list[Table]:
    """Show accuracy by task and on average, of the models pruned under each objective (Table 1)."""
    fields = [Field(column, best=max) for column in (*study.tasks.values(), "accuracy")]
    fields += [Field("difference", digits=3, best=min, mark="lowest loss")]
    heads = [*KEYS, *map(Column, study.tasks), Column("average"), Column("loss above dense")]
    return [
        _table(study, o, _accuracy_title(study, o), heads, _stacked(study, o, fields, dense=True))
        for o in _with(study, "accuracy")
    ]


def _table(
    study: Study,
    objective: str,
    title: str,
    heads: Sequence[Column],
    sections: Sequence[Sequence[Row]],
) -> Table:
    """Return a table with notes on its means and its marks in its title."""
    return _noted(title + _note(study, objective), heads, sections)


def _noted(title: str, heads: Sequence[Column], sections: Sequence[Sequence[Row]]) -> Table:
    """Return a table whose title says so if a best number is not marked."""
    if any(entry.mark == UNSURE for section in sections for row in section for entry in row):
        title += UNSURE_NOTE
    return Table(title, heads, sections)


def _accuracy_title(study: Study, objective: str) -> str:
    title = (
        f"Zero-shot accuracy in % of models pruned under {objective}, "
        f"and how far their calibration loss is above the dense one, in {study.units[objective]}"
    )
    if error := item_error(study.where(objective=objective)):
        title += f"; an average has a standard error of {number(error, 2)} over its items"
    return title


def perplexity_tables(study: Study) -> list[Table]:
    """Show perplexities, models side by side (Table 2)."""
    fields = [Field(column, best=min) for column in (*study.protocols.values(), "perplexity")]
    return [
        _table(
            study,
            objective,
            f"Perplexity of models pruned under {objective}",
            [
                *METHOD,
                *(Column(p, study.short[m]) for m in models for p in (*study.protocols, "average")),
            ],
            _side_by_side(study, objective, models, fields),
        )
        for objective in _with(study, "perplexity")
        for models in _parts(study)
    ]


def cost_tables(study: Study) -> list[Table]:
    """Show the cost of each search alone, and the quality of its choice (Table 3)."""
    return [_cost(study, objective) for objective in _with(study, "loss")]


def _cost(study: Study, objective: str) -> Table:
    measure = quality(study, objective)
    fields = [Field(name, 0) for name in ("asked", "block_runs", "block_runs_unshared")]
    fields += [Field("seconds"), _quality_field(measure)]
    names = ("subsets asked", "block forwards", "unshared", "time (s)", measure.axis)
    title = f"What searching under {objective} costs alone, and what it is worth"
    if signals := uncounted(study.where(objective=objective)):
        title += f"; not counted: the signals of {signals}"
    return _table(
        study,
        objective,
        title,
        [*KEYS, *map(Column, names)],
        _stacked(study, objective, fields, dense=False),
    )


def overview(study: Study) -> list[Table]:
    """Show each searcher in one number a model, for each objective."""
    return [
        _noted(
            f"{measure.axis.capitalize()}, pruned under {objective}",
            [*METHOD, *(Column(study.short[model]) for model in models)],
            _side_by_side(study, objective, models, [_quality_field(measure)]),
        )
        for objective in _with(study, "loss")
        for measure in [quality(study, objective)]
        for models in _parts(study)
    ]


def _stacked(study: Study, objective: str, fields: Sequence[Field], dense: bool) -> list[list[Row]]:
    """Return the sections of each model: the dense one, then the searchers of each budget."""
    found = _scored(study, objective, fields)
    searched = set(found[found["budget"] > 0]["model"])
    return [
        _rows(
            [(study.short[model], budget, searcher) for searcher in group["searcher"]],
            [_entries(study, Condition(model, objective, budget), group, f) for f in fields],
        )
        for model in study.models
        if model in searched
        for budget, group in select(found, model=model).groupby("budget")
        if budget or dense
    ]


def _side_by_side(
    study: Study, objective: str, models: Sequence[str], fields: Sequence[Field]
) -> list[list[Row]]:
    """Return the dense models, then a section for each budget; models are side by side."""
    found = _scored(study, objective, fields)
    sections = []
    for budget, group in found[found["model"].isin(models)].groupby("budget"):
        searchers = [
            s for s in ("dense", GUESSING, *study.searchers) if s in set(group["searcher"])
        ]
        by_model = {
            model: select(group, model=model).set_index("searcher").reindex(searchers)
            for model in models
        }
        columns = [
            _entries(study, Condition(model, objective, budget), of_model.reset_index(), field)
            for model, of_model in by_model.items()
            for field in fields
        ]
        sections.append(_rows([(budget, searcher) for searcher in searchers], columns))
    return sections


def _scored(study: Study, objective: str, fields: Sequence[Field]) -> pd.DataFrame:
    """Return the records of an objective, guessing only if it scores in one of the fields."""
    found = select(records(study), objective=objective)
    scores = found[[field.name for field in fields]].notna().any(axis=1)
    return found[scores | (found["searcher"] != GUESSING)]


def _rows(keys: Sequence[tuple[object, ...]], columns: Sequence[Sequence[Entry]]) -> list[Row]:
    return [
        [*(Entry(str(value)) for value in key), *row]
        for key, *row in zip(keys, *columns, strict=True)
    ]


def _entries(study: Study, where: Condition, frame: pd.DataFrame, field: Field) -> list[Entry]:
    """Format a column; the best is not marked if another does not differ significantly."""
    name, digits, best, mark = field
    best = best if where.budget else None
    if best and alike(study, where, name, best is max):
        mark = UNSURE
    deviations = frame.get(f"{name} ±", [math.nan] * len(frame))
    return entries(frame[name].tolist(), list(deviations), digits, best, mark)


def entries(
    values: Sequence[float],
    deviations: Sequence[float],
    digits: int = 2,
    best: Best | None = None,
    mark: str = "best",
) -> list[Entry]:
    """Format one column of a section; if two or more are known, mark those equal to the best.

    >>> [entry.text for entry in entries([0.5, math.nan, 3.0], [0.25, math.nan, math.nan])]
    ['0.50 ± 0.25', '–', '3.00']
    >>> [entry.mark for entry in entries([1.0, 2.0, math.nan, 2.0], [0.0] * 4, best=max)]
    ['', 'best', '', 'best']
    """
    known = [x for x in values if math.isfinite(x)]
    top = best(known) if best and len(known) > 1 else None
    spreads = [f" ± {d:,.{digits}f}" if d > 0 else "" for d in deviations]
    return [
        Entry(_text(x, digits) + spread, mark if x == top else "")
        for x, spread in zip(values, spreads, strict=True)
    ]


def _text(value: float, digits: int) -> str:
    if math.isnan(value):
        return NOTHING
    return f"{value:,.{digits}f}" if math.isfinite(value) else "∞"


def _quality_field(measure: Measure) -> Field:
    digits = 4 if measure.column == "difference" else 2
    return Field(measure.column, digits, max if measure.more_is_better else min)


def _parts(study: Study) -> list[list[str]]:
    size = MODELS_A_TABLE
    return [study.models[i : i + size] for i in range(0, len(study.models), size)]


def _with(study: Study, column: str) -> list[str]:
    """Return the objectives whose runs have a value in this column."""
    return [o for o in study.objectives if study.where(objective=o)[column].notna().any()]


def _note(study: Study, objective: str) -> str:
    sizes = study.where(objective=objective).groupby(["model", "budget", "searcher"], observed=True)
    low, high = sizes.size().min(), sizes.size().max()
    if high == 1:
        return ""
    n = f"{low} to {high}" if low < high else f"{high}"
    return f"; means ± standard deviations over {n} runs (seeds and calibration draws)"
