"""The files of a study, which `prunekit study` writes and `prunekit report` reads.

    study.yaml                 the resolved configuration; `prunekit study` on it repeats the study
    cells.json                 every cell that is planned, in order
    cells/ID.json              what came out of one cell, or why it failed
    importance/ID.json         the loss without each single block: one model, objective and draw
    speeds/ID.json             how long a block and a subset took there
    models/MODEL.json          the weights that were searched, and what else changes a number
    evaluations/MODEL/REMOVED.json   one variant, evaluated; REMOVED is 2,5 as 2-5, or dense

All are written at once or not at all, so a study that is killed leaves whole files only.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prunekit.core.errors import ConfigError
from prunekit.core.files import write_text
from prunekit.core.problem import Subset

SCHEMA = 1
T = TypeVar("T")


@dataclass(frozen=True)
class Cell:
    """One search of a study: where it stands in the grid."""

    model: str
    objective: str
    """its label in the study, so that one objective can take part with several options"""
    searcher: str
    """its label, likewise"""
    budget: int
    seed: int
    draw: int
    """the calibration draw: the seed of the objective"""

    @property
    def id(self) -> str:
        """A file name that tells this cell from the others."""
        words = f"{self.model}_{self.objective}_{self.searcher}"
        return f"{slug(words)}_k{self.budget}_s{self.seed}_d{self.draw}"


@dataclass(frozen=True)
class CellResult:
    """What a cell's search found. Losses are in `unit`; not finite is None."""

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
    """what the searcher was told besides losses, whose cost is in none of the above"""
    schema: int = SCHEMA


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

    @property
    def id(self) -> str:
        """A file name."""
        return f"{slug(f'{self.model}_{self.objective}')}_d{self.draw}"


@dataclass(frozen=True)
class VariantEvaluation:
    """One pruned variant of a model, evaluated on data that no search saw; REMOVED may be empty."""

    model: str
    removed: tuple[int, ...]
    perplexities: Mapping[str, float | None] = field(default_factory=dict)
    """by protocol, as `wikitext2`"""
    accuracies: Mapping[str, float | None] = field(default_factory=dict)
    """by task, 0 to 1: normalised where the task has that, else plain"""
    standard_errors: Mapping[str, float | None] = field(default_factory=dict)
    """of accuracies, by task"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """all that the evaluation said: protocols, token counts, versions"""
    schema: int = SCHEMA


def slug(words: str) -> str:
    """A part of a file name.

    >>> slug("demo:qwen3_ppl")
    'demo-qwen3_ppl'
    """
    return re.sub(r"[^\w.]+", "-", words).strip("-")


def subset_name(removed: Subset | Sequence[int]) -> str:
    """A subset as a file name.

    >>> subset_name(frozenset({5, 2})), subset_name(frozenset())
    ('2-5', 'dense')
    """
    return "-".join(map(str, sorted(removed))) or "dense"


class StudyFolder:
    """Reads and writes the files of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_cells(self, cells: Sequence[Cell]) -> None:
        """Say which cells are planned."""
        rows = {"schema": SCHEMA, "cells": [dataclasses.asdict(cell) for cell in cells]}
        write_text(self.path / "cells.json", json.dumps(rows, indent=1) + "\n")

    def cells(self) -> list[Cell]:
        """The planned cells; ConfigError where this is no study."""
        return [Cell(**row) for row in self._read(self.path / "cells.json")["cells"]]

    def write_cell(self, outcome: CellResult | CellFailure) -> None:
        """Keep what came out of a cell."""
        self._write(self.path / "cells" / f"{outcome.cell.id}.json", outcome)

    def cell(self, cell: Cell) -> CellResult | CellFailure | None:
        """What came out of a cell, None where it did not run yet."""
        path = self.path / "cells" / f"{cell.id}.json"
        if not path.is_file():
            return None
        row = self._read(path)
        row["cell"] = Cell(**row["cell"])
        if "error" in row:
            return _made(CellFailure, row, path)
        return _made(CellResult, row, path)

    def write_importance(self, importance: Importance) -> None:
        """Keep the losses of single removals."""
        self._write(self.path / "importance" / f"{importance.id}.json", importance)

    def importances(self) -> list[Importance]:
        """Those measured so far."""
        return list(self._all("importance", Importance))

    def write_evaluation(self, evaluation: VariantEvaluation) -> None:
        """Keep an evaluated variant."""
        name = f"{subset_name(evaluation.removed)}.json"
        self._write(self.path / "evaluations" / slug(evaluation.model) / name, evaluation)

    def evaluation(self, model: str, removed: Subset) -> VariantEvaluation | None:
        """A variant's evaluation, None where there is none yet."""
        path = self.path / "evaluations" / slug(model) / f"{subset_name(removed)}.json"
        return _made(VariantEvaluation, self._read(path), path) if path.is_file() else None

    def _all(self, folder: str, cls: type[T]) -> Iterator[T]:
        for path in sorted((self.path / folder).glob("*.json")):
            yield _made(cls, self._read(path), path)

    def _write(self, path: Path, row: Any) -> None:
        text = json.dumps(_finite(dataclasses.asdict(row)), indent=1, allow_nan=False)
        write_text(path, text + "\n")

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{self.path}: not the folder of a study ({path.name} is missing); give a folder "
                "that `prunekit study` wrote"
            ) from error
        except ValueError as error:
            raise ConfigError(f"{path} is not JSON ({error}); remove it and run again") from error
        if not isinstance(row, dict) or row.get("schema") != SCHEMA:
            raise ConfigError(f"{path}: expected schema {SCHEMA}; run the study again")
        return row


def _made(cls: type[T], row: Mapping[str, Any], path: Path) -> T:
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
    except TypeError as error:
        raise ConfigError(f"{path}: {error}; remove it and run the study again") from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
