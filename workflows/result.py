"""What came out of a search: the result, as it is printed and as it is stored."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError

SCHEMA = 1


@dataclass(frozen=True)
class Reading:
    """A loss, and other numbers that say the same."""

    loss: float
    readings: Mapping[str, float]


@dataclass(frozen=True)
class Difference:
    """A difference of losses on the same samples; None where it cannot be told."""

    value: float | None
    standard_error: float | None


@dataclass(frozen=True)
class RunnerUp:
    """The second best subset that was measured, and how much worse it is."""

    removed: tuple[int, ...]
    behind: Difference


@dataclass(frozen=True)
class Work:
    """What the search cost. What was measured before makes it cheaper, but for what is asked."""

    asked: int
    measured: int
    block_runs: int
    block_runs_alone: int
    """with every subset asked measured by itself"""
    seconds: float


@dataclass(frozen=True)
class SearchResult:
    """Which blocks go, and what that costs. Blocks are counted from 0, losses in `unit`."""

    model: str
    weights: str
    """the commit, or a digest of the files"""
    searcher: str
    objective: str
    unit: str
    seed: int
    n_blocks: int
    budget: int
    removed: tuple[int, ...]
    kept: tuple[int, ...]
    dense: Reading
    pruned: Reading
    difference: Difference
    runner_up: RunnerUp | None
    parameters: int
    parameters_removed: int
    work: Work
    versions: Mapping[str, str]
    run: str
    schema: int = SCHEMA

    def as_dict(self) -> dict[str, Any]:
        """Plain data; a number that is not finite is None."""
        row: dict[str, Any] = _finite(dataclasses.asdict(self))
        return row

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"


def read_result(run: Path) -> dict[str, Any]:
    """The stored result of a run's folder; ConfigError where there is none."""
    path = run / "result.json"
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{run}: no finished run; expected a folder with result.json under WORKDIR/runs"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}); run the search again") from error
    names = {field.name for field in dataclasses.fields(SearchResult)}
    if not isinstance(row, dict) or row.get("schema") != SCHEMA or names - set(row):
        raise ConfigError(f"{path}: expected a result of schema {SCHEMA}; run the search again")
    return row


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
