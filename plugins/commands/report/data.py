"""Read a study into one data frame with a row per run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar

from prunekit.core.errors import ConfigError
from prunekit.core.measurement import Measurement
from prunekit.core.problem import DENSE, Subset
from prunekit.engine.config_file import read_yaml
from prunekit.engine.escaping import one_line
from prunekit.engine.statistics import ratios_without_each
from prunekit.engine.study_folder import (
    AGAIN,
    EVALUATE,
    Cell,
    CellFailure,
    CellResult,
    Importance,
    StudyFolder,
    VariantEvaluation,
)
from prunekit.engine.summary import Summarised, Summary
from prunekit.hf.tokens import perplexity
from prunekit.plugins.commands.report.averages import average
from prunekit.plugins.commands.report.columns import AVERAGED, CELL, GRID, LOSSES, RECORDS, RESULT
from prunekit.plugins.commands.report.kept import kept_values
from prunekit.plugins.commands.report.labels import in_conditions, in_lines
from prunekit.plugins.commands.report.names import chance_of, without_folders
from prunekit.plugins.commands.study.draw_losses import DrawLosses, draw_losses
from prunekit.plugins.commands.study.eval_section import identity

if TYPE_CHECKING:  # imported only when a report is made
    import pandas as pd

T = TypeVar("T")
Variant = tuple[str, Subset]
"""a model, and the blocks removed from it"""


@dataclass(frozen=True, eq=False, repr=False)
class Study(Summarised):
    """Everything known about a study; names and numbers are in the order of the plan."""

    planned: tuple[Cell, ...]
    models: list[str]
    objectives: list[str]
    searchers: list[str]
    budgets: list[int]
    """the numbers of removed blocks, ascending"""
    seeds: list[int]
    draws: list[int]
    runs: pd.DataFrame
    """Finished cells: what the search found, and its scores on data that no search saw.

    Losses and perplexities that were not finite are infinite, missing numbers are NaN. `accuracy`
    and `perplexity` average over all tasks and protocols, and are NaN if one of these is missing.
    """
    failures: tuple[CellFailure, ...]
    not_run: tuple[Cell, ...]
    dense: Mapping[str, Mapping[str, float]]
    """scores of the dense models, named like the columns of `runs`"""
    not_evaluated: tuple[Variant, ...]
    incomplete: tuple[Variant, ...]
    """variants evaluated on some of the tasks or protocols only"""
    importances: tuple[Importance, ...]
    on_draws: tuple[DrawLosses, ...]
    """what the choices of other draws cost on each"""
    tasks: Mapping[str, str]
    """the column of each task's accuracy, in percent"""
    protocols: Mapping[str, str]
    """the column of each protocol's perplexity; a file is named without its folders"""
    chances: Mapping[str, float]
    """the accuracy of guessing in percent, by the column of each task of which it is known"""
    errors: Mapping[Variant, Mapping[str, float]]
    """standard errors over items, in percent, by the column of the task"""
    kept: Mapping[Variant, Mapping[str, Measurement]]
    """the values of items and windows, by the column of their task or protocol"""

    @cached_property
    def averaged(self) -> dict[str, tuple[str, ...]]:
        """Return the columns that `accuracy` and `perplexity` average."""
        found = {"accuracy": self.tasks, "perplexity": self.protocols}
        return {name: tuple(of.values()) for name, of in found.items()}

    def score_without_each(self, column: str, m: Measurement) -> list[float]:
        """Return the score of a task in percent, or of a protocol, without each item or window."""
        of = perplexity if column in self.protocols.values() else lambda mean: 100 * mean
        return [of(mean) for mean in ratios_without_each(m)]

    @cached_property
    def units(self) -> dict[str, str]:
        """Return the unit of each objective's loss, if known."""
        found = {i.objective: i.unit for i in self.importances}
        return found | dict(zip(self.runs["objective"], self.runs["unit"], strict=True))

    @cached_property
    def short(self) -> dict[str, str]:
        """Return short model names, without owner or scheme, if these are unique."""
        names = {m: m.rstrip("/").replace(":", "/").rpartition("/")[2] or m for m in self.models}
        return names if len(set(names.values())) == len(names) else {m: m for m in self.models}

    def summary(self) -> Summary:
        """Return how much there is of what was planned."""
        done = f"{len(self.runs)} of {len(self.planned)} searches"
        facts = {name: ", ".join(map(str, vars(self)[name])) for name in GRID}
        return Summary(done, facts=facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of `runs`."""
        return [{str(name): x for name, x in row.items()} for row in self.runs.to_dict("records")]

    def where(self, **fixed: Any) -> pd.DataFrame:
        """Select runs: `where(model="demo", budget=3)`."""
        return select(self.runs, **fixed)

    @cached_property
    def means(self) -> pd.DataFrame:
        """Return means, and deviations as `NAME ±`, of each searcher in each condition."""
        import pandas as pd

        scores = [*self.tasks.values(), *self.protocols.values()]
        keys = ["objective", "budget", "model", "searcher"]
        rows = []
        for key, runs in self.runs.groupby(keys, observed=True):
            signals = sorted({name for of in runs["signals"] for name in of})
            row = {"runs": len(runs), "signals": " ".join(signals)}
            row |= {name: average(name, runs[name], runs["draw"])[name] for name in scores}
            for name in AVERAGED:
                row |= average(name, runs[name], runs["draw"])
            rows.append(dict(zip(keys, key, strict=True)) | row)
        columns = [*keys, "runs", "signals", *scores]
        columns += [column for name in AVERAGED for column in (name, f"{name} ±")]
        return pd.DataFrame(rows, columns=columns)


def select(frame: pd.DataFrame, **fixed: Any) -> pd.DataFrame:
    """Select the rows with these values."""
    for name, value in fixed.items():
        frame = frame[frame[name] == value]
    return frame


def read_study(path: Path) -> Study:
    """Read the results so far, each text as one line of printable characters.

    Raises ConfigError if `path` is not the folder of a study.
    """
    folder = StudyFolder(path)
    cells = folder.cells()
    outcomes = [folder.cell(cell) for cell in cells]
    results = [found for found in outcomes if isinstance(found, CellResult)]
    searched = [(found.cell.model, subset) for found in results for subset in found.choices]
    variants = tuple(dict.fromkeys([*((cell.model, DENSE) for cell in cells), *searched]))
    found = {variant: folder.evaluation(*variant) for variant in variants}
    asked = _evaluation_asked(path)
    evaluated = {
        key: e for key, e in found.items() if e and asked in (None, e.details.get("wanted"))
    }
    kept = {key: kept_values(path, e) for key, e in evaluated.items()}
    evaluated = {key: _shortened(e) for key, e in evaluated.items()}
    pairs = {(cell.model, cell.objective, cell.calibration) for cell in cells}
    importances, on_draws = (
        tuple(of for of in found if (of.model, of.objective, of.calibration) in pairs)
        for found in (folder.importances(), draw_losses(path))
    )
    parts = tuple(cells), tuple(outcomes), variants, evaluated, importances, on_draws
    lines = {in_lines(k): {one_line(n): m for n, m in of.items()} for k, of in kept.items()}
    return _study(lines, *in_lines(in_conditions(parts)))


def _shortened(e: VariantEvaluation) -> VariantEvaluation:
    """Keep of the details the accuracy of guessing alone, in percent."""
    records = e.details.get("tasks", {})
    chances = {task: chance_of(task, records.get(task, {})) for task in e.accuracies}
    return replace(e, details={task: x for task, x in chances.items() if x is not None})


def _study(
    kept: Mapping[Variant, Mapping[str, Measurement]],
    cells: tuple[Cell, ...],
    outcomes: tuple[CellResult | CellFailure | None, ...],
    variants: tuple[Variant, ...],
    evaluated: Mapping[Variant, VariantEvaluation],
    importances: tuple[Importance, ...],
    on_draws: tuple[DrawLosses, ...],
) -> Study:
    tasks = _distinct(task for e in evaluated.values() for task in e.accuracies)
    protocols = _distinct(name for e in evaluated.values() for name in e.perplexities)
    task_columns = {task: f"{task} (%)" for task in tasks}
    shown = without_folders(protocols)
    protocol_columns = {name: f"perplexity: {shown[name]}" for name in protocols}
    columns = task_columns | protocol_columns
    scores = {k: _scores(e, task_columns, protocol_columns) for k, e in evaluated.items()}
    order = [_distinct(vars(cell)[name] for cell in cells) for name in CELL]
    models, objectives, searchers, budgets, seeds, draws = order
    rows = [_row(found, scores) for found in outcomes if isinstance(found, CellResult)]
    averages = ((task_columns, "accuracy"), (protocol_columns, "perplexity"))
    return Study(
        cells,
        models,
        objectives,
        searchers,
        sorted(budgets),
        seeds,
        draws,
        _frame(rows, order, [*task_columns.values()], [*protocol_columns.values()]),
        tuple(found for found in outcomes if isinstance(found, CellFailure)),
        tuple(cell for cell, found in zip(cells, outcomes, strict=True) if found is None),
        {model: found for (model, removed), found in scores.items() if not removed},
        tuple(variant for variant in variants if variant not in evaluated),
        tuple(
            variant
            for variant, found in scores.items()
            if any(set(of.values()) & set(found) and name not in found for of, name in averages)
        ),
        importances,
        on_draws,
        task_columns,
        {shown[name]: column for name, column in protocol_columns.items()},
        {task_columns[t]: x for e in evaluated.values() for t, x in e.details.items()},
        {k: _errors(e, task_columns) for k, e in evaluated.items()},
        {k: {columns[n]: m for n, m in of.items() if n in columns} for k, of in kept.items()},
    )


def _errors(e: VariantEvaluation, tasks: Mapping[str, str]) -> dict[str, float]:
    return {tasks[n]: 100 * x for n, x in e.standard_errors.items() if n in tasks and x is not None}


def _row(found: CellResult, scores: Mapping[Variant, Mapping[str, float]]) -> dict[str, Any]:
    removed = frozenset(found.removed)
    losses = {n: math.inf if (x := vars(found)[n]) is None else x for n in LOSSES}
    known = scores.get((found.cell.model, removed), {})
    return {**vars(found.cell), **vars(found), **losses, "removed": removed, **known}


def _frame(
    rows: Sequence[Mapping[str, Any]],
    order: Sequence[list[Any]],
    tasks: list[str],
    protocols: list[str],
) -> pd.DataFrame:
    """Return one row a run; labels are ordered categories, so that groups are in plan order."""
    import pandas as pd

    scores = [*tasks, "accuracy", "accuracy_error", *protocols, "perplexity"]
    frame = pd.DataFrame(rows, columns=[*CELL, "calibration", *RESULT, *RECORDS, *scores])
    frame = frame.astype(dict.fromkeys(RECORDS, object))
    numbers = [*LOSSES, "standard_error", "seconds", *scores]
    frame = frame.astype(dict.fromkeys(numbers, float))
    for name, labels in zip(CELL[:3], order, strict=False):
        frame[name] = pd.Categorical(frame[name], labels)
    return frame


def _evaluation_asked(path: Path) -> Mapping[str, Any] | None:
    """Return the evaluation that the study asks for, None if its file is missing."""
    file = path / "study.yaml"
    if not file.is_file():
        return None
    data, _ = read_yaml(file, "evaluate: {ppl: [demo]}")
    asked = data.get(EVALUATE) or {}
    if not isinstance(asked, Mapping):
        raise ConfigError(f"{file}: {EVALUATE}: expected settings such as {{ppl: [demo]}}; {AGAIN}")
    return identity(asked)


def _scores(
    e: VariantEvaluation, tasks: Mapping[str, str], protocols: Mapping[str, str]
) -> dict[str, float]:
    """Return what is known, by column."""
    found = {tasks[name]: 100 * x for name, x in e.accuracies.items() if x is not None}
    errors = [100 * x for name in tasks if (x := e.standard_errors.get(name)) is not None]
    if tasks and len(found) == len(tasks):
        found["accuracy"] = fmean(found.values())
        if len(errors) == len(tasks):  # independent, since tasks have different items
            found["accuracy_error"] = math.hypot(*errors) / len(tasks)
    perplexities = {protocols[n]: math.inf if x is None else x for n, x in e.perplexities.items()}
    if protocols and len(perplexities) == len(protocols):
        perplexities["perplexity"] = fmean(perplexities.values())
    return found | perplexities


def _distinct(names: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(names))
