"""Tables 1 to 3 of the study, for every objective; and one that says it all in a screen."""

from __future__ import annotations

from collections.abc import Sequence

from prunekit.plugins.commands.report.measures import (
    ACCURACY,
    PERPLEXITY,
    Condition,
    Measure,
    item_error,
    quality,
    uncounted,
)
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.records import Record, dense, searched
from prunekit.plugins.commands.report.table import Column, Entry, Table, column
from prunekit.plugins.commands.report.wording import number

METHOD = (Column("M", repeats=True), Column("method", is_number=False))
KEYS = (Column("model", is_number=False, repeats=True), *METHOD)
Rows = dict[str, list[Record | None]]


def accuracy_tables(study: Study) -> list[Table]:
    """Accuracy by task and on average, of what was pruned under each objective (Table 1)."""
    return [_accuracy(study, o) for o in study.objectives if _has(study, o, ACCURACY)]


def perplexity_tables(study: Study, models_a_table: int = 3) -> list[Table]:
    """Perplexities, models side by side (Table 2)."""
    return [
        _perplexity(study, o, models)
        for o in study.objectives
        if _has(study, o, PERPLEXITY)
        for models in _parts(study, models_a_table)
    ]


def cost_tables(study: Study) -> list[Table]:
    """What each search costs alone, beside what it is worth (Table 3)."""
    return [_cost(study, o) for o in study.objectives if study.where(objective=o)]


def overview(study: Study, models_a_table: int = 3) -> list[Table]:
    """Each searcher in one number a model, for each objective."""
    return [
        _overview(study, o, models)
        for o in study.objectives
        if study.where(objective=o)
        for models in _parts(study, models_a_table)
    ]


def _accuracy(study: Study, objective: str) -> Table:
    def entries(group: Sequence[Record]) -> list[list[Entry]]:
        by_task = [[r.accuracies.get(task) for r in group] for task in study.tasks]
        return [
            *(column(values, best=max) for values in by_task),
            column([r.accuracy for r in group], best=max),
            column([r.loss for r in group], digits=3, best=min, mark="lowest loss"),
        ]

    title = (
        f"Zero-shot accuracy in % of models pruned under {objective}, "
        f"and their calibration loss in {study.units[objective]}"
    )
    if error := item_error(study, objective):
        title += f"; an average has a standard error of {number(error, 2)} over its items"
    heads = [*KEYS, *map(Column, study.tasks), Column("average"), Column("loss")]
    sections = [
        [[*_keys(study, r), *row] for r, *row in zip(group, *entries(group), strict=True)]
        for group in _groups(study, objective)
    ]
    return Table(title + _note(study, objective), heads, sections)


def _perplexity(study: Study, objective: str, models: Sequence[str]) -> Table:
    def entries(of_model: Sequence[Record | None]) -> list[list[Entry]]:
        of_protocols = [
            [r.perplexities.get(p) if r else None for r in of_model] for p in study.protocols
        ]
        average = [r.perplexity if r else None for r in of_model]
        return [*(column(values, best=min) for values in of_protocols), column(average, best=min)]

    heads = [Column(p, study.short[m]) for m in models for p in (*study.protocols, "average")]
    sections = [
        _section(budget, rows, [e for of in zip(*rows.values(), strict=True) for e in entries(of)])
        for budget, rows in _budgets(study, objective, models)
    ]
    title = f"Perplexity of models pruned under {objective}"
    return Table(title + _note(study, objective), [*METHOD, *heads], sections)


def _cost(study: Study, objective: str) -> Table:
    measure = quality(study, objective)

    def entries(group: Sequence[Record]) -> list[list[Entry]]:
        return [
            column([r.asked for r in group], 0),
            column([r.block_runs for r in group], 0),
            column([r.block_runs_unshared for r in group], 0),
            column([r.seconds for r in group]),
            _worth(group, measure),
        ]

    names = ("subsets asked", "block forwards", "unshared", "time (s)", measure.axis)
    sections = [
        [[*_keys(study, r), *row] for r, *row in zip(group, *entries(group), strict=True)]
        for group in _groups(study, objective)
        if group[0].condition.budget
    ]
    title = f"What searching under {objective} costs alone, and what it is worth"
    if signals := uncounted(study, objective):
        title += f"; not counted: the signals of {signals}"
    return Table(title + _note(study, objective), [*KEYS, *map(Column, names)], sections)


def _overview(study: Study, objective: str, models: Sequence[str]) -> Table:
    measure = quality(study, objective)
    sections = [
        _section(budget, rows, [_worth(of, measure) for of in zip(*rows.values(), strict=True)])
        for budget, rows in _budgets(study, objective, models)
    ]
    heads = [*METHOD, *(Column(study.short[model]) for model in models)]
    return Table(f"{measure.axis.capitalize()}, pruned under {objective}", heads, sections)


def _section(budget: int, rows: Rows, columns: Sequence[Sequence[Entry]]) -> list[list[Entry]]:
    return [
        [Entry(str(budget)), Entry(searcher), *row]
        for searcher, *row in zip(rows, *columns, strict=True)
    ]


def _budgets(study: Study, objective: str, models: Sequence[str]) -> list[tuple[int, Rows]]:
    """For each budget that something has finished with, and 0: a row of models by searcher."""
    found: list[tuple[int, Rows]] = [(0, {"dense": [dense(study, m, objective) for m in models]})]
    for budget in study.budgets:
        of_models = [
            {r.searcher: r for r in searched(study, Condition(model, objective, budget))}
            for model in models
        ]
        there = [s for s in study.searchers if any(s in of_model for of_model in of_models)]
        if there:
            found.append((budget, {s: [of_model.get(s) for of_model in of_models] for s in there}))
    return found


def _groups(study: Study, objective: str) -> list[list[Record]]:
    """For each model that has any: the dense one by itself, then the searchers of each budget."""
    groups = []
    for model in study.models:
        found = [searched(study, Condition(model, objective, k)) for k in study.budgets]
        if any(found):
            groups += [[dense(study, model, objective)], *filter(None, found)]
    return groups


def _parts(study: Study, size: int) -> list[list[str]]:
    return [study.models[i : i + size] for i in range(0, len(study.models), size)]


def _has(study: Study, objective: str, measure: Measure) -> bool:
    return any(measure.of(run) is not None for run in study.where(objective=objective))


def _note(study: Study, objective: str) -> str:
    groups: dict[tuple[str, int, str], int] = {}
    for run in study.where(objective=objective):
        key = (run.cell.model, run.cell.budget, run.cell.searcher)
        groups[key] = groups.get(key, 0) + 1
    low, high = min(groups.values()), max(groups.values())
    if high == 1:
        return ""
    n = f"{low} to {high}" if low < high else f"{high}"
    return f"; means ± standard deviations over {n} runs (seeds and calibration draws)"


def _keys(study: Study, r: Record) -> list[Entry]:
    return [
        Entry(study.short[r.condition.model]),
        Entry(str(r.condition.budget)),
        Entry(r.searcher),
    ]


def _worth(records: Sequence[Record | None], measure: Measure) -> list[Entry]:
    if measure is ACCURACY:
        return column([r.accuracy if r else None for r in records], best=max)
    if measure is PERPLEXITY:
        return column([r.perplexity if r else None for r in records], best=min)
    return column([r.difference if r else None for r in records], digits=4, best=min)
