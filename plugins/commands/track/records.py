"""What a tracker is given of a run, or of each search of a study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core.problem import words
from prunekit.engine.config_file import read_yaml
from prunekit.engine.result import FILE, read_result
from prunekit.plugins.commands.report.columns import CELL
from prunekit.plugins.commands.report.data import Study

BEST = "best above dense"
"""The curve of a search: the best loss so far, above that of the dense model."""
KEPT = (".json", ".yaml")
"""Endings of the files of a run that are kept; weights are not."""
NUMBERS = (
    *("loss", "dense_loss", "difference", "standard_error", "asked", "block_runs", "seconds"),
    *("accuracy", "perplexity"),
)


@dataclass(frozen=True)
class Record:
    """One run of a tracker."""

    name: str
    settings: Mapping[str, Any]
    points: Sequence[tuple[int, float]] = ()
    """block forwards, and the best loss so far above that of the dense model"""
    summary: Mapping[str, float | str] | None = None
    files: Sequence[Path] = ()


def record_of_run(folder: Path) -> Record:
    """Read a finished search. Raises ConfigError if it is damaged."""
    result = read_result(folder)
    settings, _ = read_yaml(folder / "config.yaml", "searcher: greedy")
    numbers: dict[str, Any] = {
        "dense loss": result["dense"]["loss"],
        "loss": result["pruned"]["loss"],
        "difference": result["difference"]["value"],
        "standard error": result["difference"]["standard_error"],
        "parameters removed": result["parameters_removed"],
        "block forwards": result["work"]["block_runs"],
        "seconds": result["work"]["seconds"],
        **{f"dense {name}": x for name, x in result["dense"]["readings"].items()},
        **result["pruned"]["readings"],
    }
    held_out = result.get("held_out")
    if held_out and held_out.get("above"):
        numbers["held-out difference"] = held_out["above"]["value"]
    points = [(of["block_runs"], of["difference"]) for of in result.get("improvements", ())]
    summary = _summary(numbers, result["removed"])
    files = [path for path in sorted(folder.iterdir()) if path.suffix in KEPT and path.is_file()]
    return Record(folder.name, flat(settings), points, summary, files)


def records_of_study(name: str, study: Study) -> Iterator[Record]:
    """Yield a record for each search that finished."""
    scores = [*study.tasks.values(), *study.protocols.values()]
    for row in study.rows():
        settings = {key: row[key] for key in CELL}
        numbers = {name: row[name] for name in (*NUMBERS, *scores)}
        points = [(of.block_runs, of.difference) for of in row["improvements"]]
        summary = _summary(numbers, row["removed"])
        cell = "-".join(str(row[key]) for key in CELL)
        yield Record(f"{name}/{cell}", flat(settings), points, summary)


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a finished search."""
    return (folder / FILE).is_file()


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested settings under names with dots.

    >>> flat({"searcher": "genetic", "genetic": {"population": 8}})
    {'searcher': 'genetic', 'genetic.population': 8}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            plain = value if value is None or isinstance(value, int | float | str) else str(value)
            found[f"{above}{name}"] = plain
    return found


def _summary(numbers: Mapping[str, Any], removed: Iterable[int]) -> dict[str, float | str]:
    """Leave out what is not known, or not finite."""
    known = {
        name: float(x)
        for name, x in numbers.items()
        if isinstance(x, int | float) and math.isfinite(x)
    }
    return {**known, "removed": words(removed)}
