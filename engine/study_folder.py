"""The files of a study, which `prunekit study` writes and `prunekit report` reads.

    study.yaml                 the resolved configuration; `prunekit study` on it repeats the study
    cells.json                 every cell that is planned, in order
    cells/ID.json              what came out of one cell, or why it failed
    importance/ID.json         the loss without each single block: one model, objective and draw
    speeds/ID.json             how long a block and a subset took there
    models/MODEL.json          the weights that were searched, and what else changes a number
    threads.json               threads of each process in the first run
    evaluations/MODEL/REMOVED.json   one variant, evaluated; REMOVED is 2,5 as 2-5, or dense

All are written at once or not at all, so a study that is killed leaves whole files only.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset
from prunekit.engine.best_so_far import Improvement, check_improvements
from prunekit.engine.conditions import condition
from prunekit.engine.files import write_text
from prunekit.engine.held_out import HeldOut, check_held_out
from prunekit.engine.plain import shortened
from prunekit.engine.stability import Stability, check_stability
from prunekit.engine.stored import (
    check_counts,
    check_difference,
    check_removed,
    check_stored,
    finite,
    read_stored,
    restored,
    subset_name,
)

SCHEMA = 1
LONGEST_NAME = 200
"""of a file, without what is put to its ends"""
EVALUATE = "evaluate"
"""The key of what is evaluated, in study.yaml."""
AGAIN = "remove it and run the study again"
T = TypeVar("T")


@dataclass(frozen=True)
class Cell:
    """One search of a study, by its coordinates in the grid."""

    model: str
    objective: str
    """its label in the study, so that one objective can take part with several options"""
    searcher: str
    """its label, likewise"""
    budget: int
    seed: int
    draw: int
    """the calibration draw: the seed of the objective"""
    calibration: str = ""
    """the label of other options of the objective; empty for its own"""

    @property
    def id(self) -> str:
        """A file name, different for each cell."""
        words = f"{self.model}_{condition(self.objective, self.calibration)}_{self.searcher}"
        return f"{slug(words)}_k{self.budget}_s{self.seed}_d{self.draw}"


@dataclass(frozen=True)
class CellResult:
    """The result of a cell. Losses are in `unit`; None if not finite."""

    cell: Cell
    removed: tuple[int, ...]
    n_blocks: int
    unit: str
    loss: float | None
    dense_loss: float | None
    difference: float | None
    """loss - dense_loss"""
    standard_error: float | None
    """of the difference, over calibration samples"""
    asked: int
    """subsets asked for, repeats included"""
    block_runs: int
    """block forwards that this search would have needed alone, with shared prefixes"""
    block_runs_unshared: int
    """the same with every subset asked measured by itself"""
    seconds: float | None
    """what `block_runs` would take at the speed measured in this study"""
    parameters: int
    parameters_removed: int
    signals: tuple[str, ...] = ()
    """what the searcher received besides losses, whose cost is in none of the above"""
    finalists: int = 0
    """how many of its best subsets were to be measured again on held-out samples"""
    held_out: HeldOut | None = None
    """what came of that; None if nothing was measured there"""
    stability: Stability | None = None
    """of `removed`; None without finalists, or if it cannot be estimated"""
    improvements: tuple[Improvement, ...] = ()
    """of the best loss so far; studies of version 0.2 have none"""
    schema: int = SCHEMA

    @property
    def choices(self) -> tuple[Subset, ...]:
        """Return what the search chose, and the winner on held-out samples if that is another."""
        own = frozenset(self.removed)
        return tuple(dict.fromkeys([own, self.held_out.winner if self.held_out else own]))


@dataclass(frozen=True)
class CellFailure:
    """Why a cell has no result: one line."""

    cell: Cell
    error: str
    schema: int = SCHEMA


@dataclass(frozen=True)
class Importance:
    """The loss of one model under one objective and draw without each single block."""

    model: str
    objective: str
    draw: int
    unit: str
    dense: float | None
    singles: tuple[float | None, ...]
    schema: int = SCHEMA
    calibration: str = ""

    @property
    def id(self) -> str:
        """A file name."""
        return f"{slug(f'{self.model}_{condition(self.objective, self.calibration)}')}_d{self.draw}"


@dataclass(frozen=True)
class VariantEvaluation:
    """One pruned variant of a model, evaluated on data that no search saw; REMOVED may be empty."""

    model: str
    removed: tuple[int, ...]
    perplexities: Mapping[str, float | None] = field(default_factory=dict)
    """by protocol, as `wikitext2`"""
    accuracies: Mapping[str, float | None] = field(default_factory=dict)
    """by task, 0 to 1: normalised if the task has that, else plain"""
    standard_errors: Mapping[str, float | None] = field(default_factory=dict)
    """of accuracies, by task"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """all that the evaluation said: protocols, token counts, versions"""
    schema: int = SCHEMA


COUNTS = (
    *("standard_error", "asked", "block_runs", "block_runs_unshared", "seconds"),
    *("parameters", "parameters_removed", "finalists"),
)
"""Numbers of a cell's result that are 0 or more."""


def slug(words: str) -> str:
    """Return a part of a file name, empty if there is neither a letter nor a digit.

    >>> slug("demo:qwen3_ppl"), slug("..")
    ('demo-qwen3_ppl', '')
    """
    return re.sub(r"[^\w.]+", "-", words).strip("-.")


class StudyFolder:
    """Reads and writes the files of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_cells(self, cells: Sequence[Cell]) -> None:
        """Write the list of planned cells."""
        rows = {"schema": SCHEMA, "cells": [dataclasses.asdict(cell) for cell in cells]}
        write_text(self.path / "cells.json", json.dumps(rows, indent=1) + "\n")

    def cells(self) -> list[Cell]:
        """Return the planned cells. Raises ConfigError if this is not the folder of a study."""
        path = self.path / "cells.json"
        if not path.is_file():
            raise ConfigError(
                f"{self.path}: not the folder of a study ({path.name} is missing); give a folder "
                "that `prunekit study` wrote"
            )
        hints = {"cells": tuple[Cell, ...]}
        plan = read_stored(path, SCHEMA, hints, AGAIN, _check_plan)
        return [restored(Cell, row) for row in plan["cells"]]

    def write_cell(self, outcome: CellResult | CellFailure) -> None:
        """Write the outcome of a cell."""
        self._write(self.path / "cells" / f"{outcome.cell.id}.json", outcome)

    def cell(self, cell: Cell) -> CellResult | CellFailure | None:
        """Return the outcome of a cell, None if it has not run yet."""
        path = self.path / "cells" / f"{cell.id}.json"
        if not path.is_file():
            return None
        failed = "error" in read_stored(path, SCHEMA, ("cell",), AGAIN)
        kind: type[CellResult | CellFailure] = CellFailure if failed else CellResult
        return _read(kind, path, lambda outcome: outcome.cell, cell)

    def write_importance(self, importance: Importance) -> None:
        """Write the losses of single removals."""
        self._write(self.path / "importance" / f"{importance.id}.json", importance)

    def importances(self) -> list[Importance]:
        """Return those measured so far."""
        paths = sorted((self.path / "importance").glob("*.json"))
        return [_read(Importance, path, lambda i: f"{i.id}.json", path.name) for path in paths]

    def write_evaluation(self, evaluation: VariantEvaluation) -> None:
        """Write the evaluation of a variant."""
        name = f"{subset_name(evaluation.removed)}.json"
        self._write(self.path / "evaluations" / slug(evaluation.model) / name, evaluation)

    def evaluation(self, model: str, removed: Subset) -> VariantEvaluation | None:
        """Return a variant's evaluation, None if there is none yet."""
        path = self.path / "evaluations" / slug(model) / f"{subset_name(removed)}.json"
        if not path.is_file():
            return None
        of = (model, sorted(removed))
        return _read(VariantEvaluation, path, lambda e: (e.model, list(e.removed)), of)

    def _write(self, path: Path, row: Any) -> None:
        text = json.dumps(finite(dataclasses.asdict(row)), indent=1, allow_nan=False)
        write_text(path, text + "\n")


def _read(cls: type[T], path: Path, of: Callable[[T], Any], wanted: Any) -> T:
    """Read a record. Raises ConfigError if it is damaged, or not `of` what is wanted."""

    def check(row: Mapping[str, Any]) -> None:
        if (found := of(_made(cls, row))) != wanted:
            raise ValueError(f"it is of {shortened(found, 200)}, not of {shortened(wanted, 200)}")

    return restored(cls, read_stored(path, SCHEMA, (), AGAIN, check))


def _check_plan(row: Mapping[str, Any]) -> None:
    cells = [_made(Cell, cell) for cell in row["cells"]]
    if len(set(cells)) < len(cells):
        raise ValueError("a cell is planned twice")


def _made(cls: type[T], row: Mapping[str, Any]) -> T:
    """Make a record of the values that this version knows. Raises ValueError for bad ones."""
    check_stored(row, cls)
    made = restored(cls, row)
    CHECKS.get(cls, lambda made: None)(made)
    return made


def _check_cell(cell: Cell) -> None:
    check_counts(vars(cell), "budget", "seed", "draw")


def _check_result(found: CellResult) -> None:
    _check_cell(found.cell)
    check_removed(found.removed, found.n_blocks, found.cell.budget)
    check_counts(vars(found), *COUNTS)
    check_improvements(found.improvements, found.block_runs)
    check_difference(found.difference, found.loss, found.dense_loss)
    if found.held_out:
        check_held_out(dataclasses.asdict(found.held_out), found.n_blocks, found.cell.budget)
        if found.held_out.of(found.removed) is None:
            raise ValueError(f"removed is {list(found.removed)}, but not a finalist")
    if found.stability:
        check_stability(vars(found.stability))


def _check_evaluation(found: VariantEvaluation) -> None:
    for part in ("perplexities", "accuracies", "standard_errors"):
        for name, value in vars(found)[part].items():
            most = 1 if part == "accuracies" else math.inf
            if value is not None and not (0 <= value <= most and (value or part != "perplexities")):
                raise ValueError(f"{part}.{name[:40]} cannot be {value!r}")


CHECKS: dict[type, Callable[[Any], None]] = {
    Cell: _check_cell,
    CellFailure: lambda found: _check_cell(found.cell),
    CellResult: _check_result,
    VariantEvaluation: _check_evaluation,
}
"""What the values of a record must satisfy besides their types."""
