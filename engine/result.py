"""The result of a search, as it is printed and as it is stored."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from prunekit.core.errors import ConfigError
from prunekit.engine.best_so_far import Improvement, check_improvements
from prunekit.engine.held_out import HeldOut, check_held_out
from prunekit.engine.plain import shortened
from prunekit.engine.race import Raced
from prunekit.engine.reading import Difference, Reading
from prunekit.engine.repaired import Repaired, check_repaired
from prunekit.engine.stability import Stability, check_stability
from prunekit.engine.stored import (
    check_counts,
    check_difference,
    check_kept,
    check_removed,
    check_stored,
    finite,
    read_stored,
)
from prunekit.engine.summary import Summarised, Summary, plain, with_error, without
from prunekit.engine.verdict import UNREPAIRED, LogRatio, Verdict, judge

SCHEMA = 1
FILE = "result.json"
AGAIN = "run the search again"
PERPLEXITY = "perplexity"
"""The reading of a loss that is a negative log-likelihood, in nats per token."""


@dataclass(frozen=True)
class RunnerUp:
    """The second best subset, and how much worse it is: on held-out samples, if there are any."""

    removed: tuple[int, ...]
    behind: Difference


@dataclass(frozen=True)
class Work:
    """The cost of a search, all its sessions together if it was stopped or repeated.

    Measurements of earlier searches make it cheaper, except for `asked`.
    """

    asked: int
    measured: int
    block_runs: int
    block_runs_alone: int
    """with every subset asked measured by itself"""
    seconds: float

    def __add__(self, other: Work) -> Work:
        return self._with(other, operator.add)

    def __or__(self, other: Work) -> Work:
        """Return the larger of each number, as both count the same searches."""
        return self._with(other, max)

    def _with(self, other: Work, choose: Callable[[Any, Any], Any]) -> Work:
        return Work(*map(choose, dataclasses.astuple(self), dataclasses.astuple(other)))


NO_WORK = Work(0, 0, 0, 0, 0.0)


@dataclass(frozen=True, repr=False)
class SearchResult(Summarised):
    """The removed blocks, and their cost. Blocks are counted from 0, losses are in `unit`."""

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
    begins_with: str = ""
    """the beginning-of-text token, if every calibration sample began with it"""
    tokenizer: str = ""
    """a digest of its files; empty for a model from the hub, and in results of earlier versions"""
    held_out: HeldOut | None = None
    """the finalists that `removed` was chosen from; None if the search alone chose it"""
    stability: Stability | None = None
    """of what the search chose, before any finalists; None if it cannot be estimated"""
    race: Raced | None = None
    """what was spared by dropping candidates that fell behind; None if all were measured in full"""
    dtype: str = ""
    """of the weights, as asked for or as they are stored; empty in results of earlier versions"""
    parameter_bytes: int = 0
    """of a parameter in that dtype"""
    smaller: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """by budget, the best subset of each smaller size that the search measured; of `greedy`, what a
    search of that budget would choose"""
    samples: int | None = None
    """of the calibration set; None in results of earlier versions"""
    repair: Repaired | None = None
    """what makes up for the removed blocks; None if they were removed bare"""
    improvements: tuple[Improvement, ...] = ()
    """of the best loss so far; results of earlier versions have none"""
    schema: int = SCHEMA

    def summary(self) -> Summary:
        """Return the removed blocks, and what they cost."""
        facts = {
            "loss": f"{self.dense.loss:.4f} dense, {self.pruned.loss:.4f} pruned ({self.unit})"
        }
        facts["difference"] = with_error(self.difference)
        if self.verdict:
            facts["verdict"] = self.verdict.words
        facts["run"] = self.run
        how = f"{self.searcher} on {self.objective}"
        title = f"{without(self.model, self.removed)}, {how}"
        return Summary(title, self.removed, self.n_blocks, facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return the finalists, the winner first; of a search without them, its choice."""
        if self.held_out:
            return [plain(finalist) for finalist in self.held_out.finalists]
        names = ("removed", "searcher", "dense", "pruned", "difference")
        return [{name: value for name, value in dataclasses.asdict(self).items() if name in names}]

    @property
    def verdict(self) -> Verdict | None:
        """What the perplexity says, on held-out samples if there are any; None without one."""
        verdict = self._verdict()
        if verdict is None or self.repair is None:
            return verdict
        return dataclasses.replace(verdict, words=verdict.words.replace(UNREPAIRED, ""))

    def _verdict(self) -> Verdict | None:
        if PERPLEXITY not in self.dense.readings:
            return None
        held_out = self.held_out
        if held_out is None:
            where = "the calibration samples" if self.samples is None else _calibrated(self.samples)
            return judge(LogRatio.of(self.difference, self.samples), f" on {where}")
        winner = held_out.finalists[0].held_out
        if held_out.dense is None:
            return None
        gap = Difference(None if winner is None else winner - held_out.dense, None)
        ratio = LogRatio.of(held_out.above or gap, held_out.samples)
        return judge(ratio, f" on {held_out.samples} held-out samples")

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, with the verdict; a number that is not finite is None."""
        verdict = self.verdict and dataclasses.asdict(self.verdict)
        row: dict[str, Any] = finite({**dataclasses.asdict(self), "verdict": verdict})
        return row

    def to_json(self) -> str:
        """Return JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"


def _calibrated(samples: int) -> str:
    return f"the {samples} calibration samples" if samples > 1 else "the calibration sample"


@dataclass(frozen=True)
class _StoredReading:
    """A reading in a file; numbers that are not finite are None."""

    loss: float | None
    readings: Mapping[str, float | None]


def read_result(run: Path) -> dict[str, Any]:
    """Return the result stored in a run's folder. Raises ConfigError if it is missing or bad."""
    path = run / FILE
    if not path.is_file():
        raise ConfigError(
            f"{run}: no finished run; expected a folder with result.json under WORKDIR/runs"
        )
    return read_stored(path, SCHEMA, (), AGAIN, check_result)


def check_result(row: Any, name: str = "") -> None:
    """Raise ValueError unless plain data is a result: its values, and the blocks that they name.

    `name` is that of the row in a larger one.
    """
    check_stored(row, SearchResult, name, dense=_StoredReading, pruned=_StoredReading)
    check_counts({"samples": None, **row}, "budget", "parameters_removed", "seed", "samples")
    check_counts(row["work"], *get_type_hints(Work), name="work")
    check_counts(row["difference"], "standard_error", name="difference")
    check_difference(row["difference"]["value"], row["pruned"]["loss"], row["dense"]["loss"])
    if not row["parameters_removed"] < row["parameters"]:
        raise ValueError(f"parameters cannot be {row['parameters']!r}")
    check_removed(row["removed"], row["n_blocks"], row["budget"])
    if row.get("held_out"):
        check_held_out(row["held_out"], row["n_blocks"], row["budget"])
        if sorted(row["held_out"]["finalists"][0]["removed"]) != sorted(row["removed"]):
            raise ValueError(f"removed cannot be {row['removed']}, as its search chose others")
    improvements = [Improvement(**of) for of in row.get("improvements", ())]
    check_improvements(improvements, row["work"]["block_runs_alone"])
    if row.get("race"):
        check_counts(row["race"], *get_type_hints(Raced), name="race")
    if row.get("stability"):
        check_stability(row["stability"])
    for size, subset in row.get("smaller", {}).items():
        if not size.isdecimal() or int(size) >= row["budget"]:
            raise ValueError(f"smaller cannot be of {size!r} blocks")
        check_removed(subset, row["n_blocks"], int(size))
    if row.get("repair"):
        check_repaired(row["repair"], row["removed"], row["n_blocks"])
    check_kept(row["kept"], row["removed"], row["n_blocks"])
    if row["runner_up"]:
        check_counts(row["runner_up"]["behind"], "standard_error", name="runner_up.behind")
        check_removed(row["runner_up"]["removed"], row["n_blocks"], row["budget"])


def check_of_run(folder: Path, removed: Sequence[int], *weights: str) -> None:
    """Raise ValueError if the run in a folder, if there is one, chose other blocks or weights.

    Raises ConfigError if its result is damaged.
    """
    if not (folder / FILE).is_file():
        return
    result = read_result(folder)
    if sorted(removed) != sorted(result["removed"]):
        raise ValueError(f"removed is {list(removed)}, but the run removes {result['removed']}")
    if other := [found for found in weights if found != result["weights"]]:
        raise ValueError(f"weights is {shortened(other[0])}, but the run has {result['weights']!r}")
