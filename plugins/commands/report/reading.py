"""A study as it stands in its folder: what came out so far, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from prunekit.core.problem import DENSE, Subset
from prunekit.engine.config_file import read_yaml
from prunekit.engine.escaping import one_line
from prunekit.plugins.commands.study.files import (
    Cell,
    CellFailure,
    CellResult,
    Importance,
    StudyFolder,
    VariantEvaluation,
)
from prunekit.plugins.commands.study.wanted import KEY as EVALUATE
from prunekit.plugins.commands.study.wanted import identity

T = TypeVar("T")


@dataclass(frozen=True)
class Scores:
    """What a variant scored on data that no search saw; what was not evaluated is not there."""

    accuracies: Mapping[str, float] = field(default_factory=dict)
    """in percent, by task"""
    perplexities: Mapping[str, float] = field(default_factory=dict)
    """by protocol; infinite where they were not finite"""
    accuracy: float | None = None
    """the mean over the tasks of the study, None where one of them is missing"""
    accuracy_error: float | None = None
    """the standard error of `accuracy` over the items of the tasks, where each has one"""
    perplexity: float | None = None
    """the mean over the protocols of the study, None where one of them is missing"""


@dataclass(frozen=True)
class Run:
    """A finished cell of a study."""

    result: CellResult
    scores: Scores

    @property
    def cell(self) -> Cell:
        """Where it stands in the grid."""
        return self.result.cell

    @property
    def removed(self) -> Subset:
        """The blocks that its search chose."""
        return frozenset(self.result.removed)

    @property
    def difference(self) -> float:
        """How far the loss is above the dense model's; infinite where it was not finite."""
        return math.inf if self.result.difference is None else self.result.difference


@dataclass(frozen=True)
class Study:
    """All that is known of a study."""

    planned: tuple[Cell, ...]
    runs: tuple[Run, ...]
    failures: tuple[CellFailure, ...]
    not_run: tuple[Cell, ...]
    dense: Mapping[str, Scores]
    """by model"""
    not_evaluated: tuple[tuple[str, Subset], ...]
    """models and the subsets, chosen by a search or empty, that nobody evaluated yet as asked"""
    incomplete: tuple[tuple[str, Subset], ...]
    """those evaluated on some tasks, or by some protocols, only"""
    importances: tuple[Importance, ...]
    tasks: tuple[str, ...]
    protocols: tuple[str, ...]

    @cached_property
    def models(self) -> list[str]:
        """In the order of the plan, as all that follow."""
        return _distinct(cell.model for cell in self.planned)

    @cached_property
    def objectives(self) -> list[str]:
        """Their labels."""
        return _distinct(cell.objective for cell in self.planned)

    @cached_property
    def searchers(self) -> list[str]:
        """Their labels."""
        return _distinct(cell.searcher for cell in self.planned)

    @cached_property
    def budgets(self) -> list[int]:
        """The numbers of removed blocks, ascending."""
        return sorted({cell.budget for cell in self.planned})

    @cached_property
    def seeds(self) -> list[int]:
        """Of the searches."""
        return _distinct(cell.seed for cell in self.planned)

    @cached_property
    def draws(self) -> list[int]:
        """The calibration draws."""
        return _distinct(cell.draw for cell in self.planned)

    @cached_property
    def units(self) -> dict[str, str]:
        """What a loss counts, by objective, as far as it is known."""
        found = {run.cell.objective: run.result.unit for run in self.runs}
        return {i.objective: i.unit for i in self.importances} | found

    @cached_property
    def short(self) -> dict[str, str]:
        """Models by what tells them apart: without their owner or scheme, if that is enough."""
        names = {m: m.rstrip("/").replace(":", "/").rpartition("/")[2] or m for m in self.models}
        return names if len(set(names.values())) == len(names) else {m: m for m in self.models}

    def where(self, **fixed: Any) -> list[Run]:
        """The runs whose cells have these values: `where(model="demo", budget=3)`."""
        return [r for r in self.runs if all(getattr(r.cell, k) == v for k, v in fixed.items())]


def read_study(path: Path) -> Study:
    """Read what is there, every text as one line of characters that can be drawn.

    ConfigError where `path` is not the folder of a study.
    """
    folder = StudyFolder(path)
    planned = folder.cells()
    outcomes = [(cell, folder.cell(cell)) for cell in planned]
    results = [found for _, found in outcomes if isinstance(found, CellResult)]
    wanted = [(cell.model, DENSE) for cell in planned]
    wanted += [(r.cell.model, frozenset(r.removed)) for r in results]
    found = {(m, s): folder.evaluation(m, s) for m, s in dict.fromkeys(wanted)}
    asked = _evaluation_asked(path)
    evaluated = {
        key: e for key, e in found.items() if e and asked in (None, e.details.get("wanted"))
    }
    tasks = _distinct(task for e in evaluated.values() for task in e.accuracies)
    protocols = _distinct(name for e in evaluated.values() for name in e.perplexities)
    scores = {key: _scores(e, tasks, protocols) for key, e in evaluated.items()}
    pairs = {(cell.model, cell.objective) for cell in planned}
    study = Study(
        planned=tuple(planned),
        runs=tuple(
            Run(r, scores.get((r.cell.model, frozenset(r.removed)), Scores())) for r in results
        ),
        failures=tuple(found for _, found in outcomes if isinstance(found, CellFailure)),
        not_run=tuple(cell for cell, found in outcomes if found is None),
        dense={m: s for (m, removed), s in scores.items() if not removed},
        not_evaluated=tuple(key for key in found if key not in evaluated),
        incomplete=tuple(key for key, s in scores.items() if _is_incomplete(s)),
        importances=tuple(i for i in folder.importances() if (i.model, i.objective) in pairs),
        tasks=tuple(tasks),
        protocols=tuple(protocols),
    )
    drawable: Study = _in_lines(study)
    return drawable


def _in_lines(found: Any) -> Any:
    """The same with `one_line` of every text in it."""
    if isinstance(found, str):
        return one_line(found)
    if isinstance(found, tuple):
        return tuple(map(_in_lines, found))
    if isinstance(found, Mapping):
        return {_in_lines(key): _in_lines(value) for key, value in found.items()}
    if is_dataclass(found) and not isinstance(found, type):
        return replace(found, **{f.name: _in_lines(getattr(found, f.name)) for f in fields(found)})
    return found


def _evaluation_asked(path: Path) -> Mapping[str, Any] | None:
    """What the study wants evaluated, as evaluations note it; None where its file is gone."""
    file = path / "study.yaml"
    if not file.is_file():
        return None
    data, _ = read_yaml(file, "evaluate: {ppl: [demo]}")
    return identity(data.get(EVALUATE, {}))


def _scores(e: VariantEvaluation, tasks: list[str], protocols: list[str]) -> Scores:
    accuracies = {name: 100 * x for name, x in e.accuracies.items() if x is not None}
    perplexities = {n: math.inf if x is None else x for n, x in e.perplexities.items()}
    errors = {name: 100 * x for name, x in e.standard_errors.items() if x is not None}
    accuracy = _mean(accuracies, tasks)
    error = None if accuracy is None else _error_of_mean(errors, tasks)
    return Scores(accuracies, perplexities, accuracy, error, _mean(perplexities, protocols))


def _error_of_mean(errors: Mapping[str, float], tasks: list[str]) -> float | None:
    """Tasks have different items, so their errors are independent."""
    if not set(tasks) <= set(errors):
        return None
    return math.hypot(*(errors[task] for task in tasks)) / len(tasks)


def _mean(values: Mapping[str, float], names: list[str]) -> float | None:
    return fmean(values.values()) if names and set(names) == set(values) else None


def _is_incomplete(s: Scores) -> bool:
    return bool(s.accuracies and s.accuracy is None) or bool(
        s.perplexities and s.perplexity is None
    )


def _distinct(names: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(names))


def on_every_seed(study: Study, **fixed: Any) -> list[Run]:
    """The runs with these values; one of a searcher without chance stands for every seed.

    Such a searcher is planned with a single seed, since it would choose the same with any other.
    Counted once for each seed, it weighs as much as the others and has its partner in all pairs.
    """
    seeds: dict[object, set[int]] = {}
    for cell in study.planned:
        seeds.setdefault(_but_chance(cell), set()).add(cell.seed)
    runs = []
    for run in study.where(**fixed):
        alone = len(seeds[_but_chance(run.cell)]) == 1
        runs += [_with_seed(run, seed) for seed in study.seeds] if alone else [run]
    return runs


def _but_chance(cell: Cell) -> object:
    return cell.model, cell.objective, cell.searcher, cell.budget


def _with_seed(run: Run, seed: int) -> Run:
    return replace(run, result=replace(run.result, cell=replace(run.cell, seed=seed)))
