"""What became of choices on held-out samples, and what another calibration draw would choose."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import Subset
from prunekit.engine.held_out import Finalist, HeldOut
from prunekit.plugins.commands.report.averages import average, mean_of
from prunekit.plugins.commands.report.data import Study
from prunekit.plugins.commands.report.measures import on_every_seed

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["objective", "budget", "model", "searcher"]
GAPS = ("calibration", "held out", "winner")


@dataclass(frozen=True)
class Point:
    """A choice, by how far its losses are above those of the dense model."""

    calibration: float
    held_out: float


@dataclass(frozen=True)
class Final:
    """What a search chose itself, and the winner among its finalists."""

    own: Point
    winner: Point


def final_of(run: Any) -> Final | None:
    """Return the finals of a row of the runs; None if it has none. What is not finite is infinite.

    The loss of the dense model is subtracted from each.
    """
    found: HeldOut | None = run.held_out
    if found is None:
        return None
    own = found.of(run.removed)
    assert own is not None  # checked where it was read
    own_point, winner = (_point(f, run.dense_loss, found) for f in (own, found.finalists[0]))
    return Final(own_point, winner)


def _point(finalist: Finalist, dense_loss: float, of: HeldOut) -> Point:
    return Point(_above(finalist.loss, dense_loss), _above(finalist.held_out, of.dense))


def _above(loss: float | None, dense: float | None) -> float:
    return math.inf if loss is None or dense is None else loss - dense


def finals(study: Study) -> pd.DataFrame:
    """Return means over the runs of each searcher in each condition that have finalists.

    `overfitting error` is the standard error of the mean over draws: the samples of one draw are
    the same for all seeds, so that these count as one. `agreement` is the one to be expected of
    another draw.
    """
    import pandas as pd

    known = study.runs[study.runs["held_out"].notna()]
    rows = [
        dict(zip(KEYS, key, strict=True)) | _means(runs)
        for key, runs in known.groupby(KEYS, observed=True)
    ]
    columns = [column for name in GAPS for column in (name, f"{name} ±")]
    others = ["overfitting", "overfitting error", "agreement"]
    return pd.DataFrame(rows, columns=[*KEYS, "runs", *columns, *others])


def _means(runs: pd.DataFrame) -> dict[str, float]:
    found = [final for run in runs.itertuples(index=False) if (final := final_of(run))]
    values = {
        "calibration": [final.own.calibration for final in found],
        "held out": [final.own.held_out for final in found],
        "winner": [final.winner.held_out for final in found],
    }
    row: dict[str, float] = {"runs": len(found)}
    for name, of_runs in values.items():
        row |= average(name, of_runs, runs["draw"])
    mean, error = _overfitting(runs)
    return {**row, "overfitting": mean, "overfitting error": error, "agreement": expected(runs)}


def _overfitting(runs: pd.DataFrame) -> tuple[float, float]:
    """Return the mean over draws with its standard error; NaN where either is not known."""
    by_draw = [[found.overfitting for found in of["held_out"]] for _, of in runs.groupby("draw")]
    means, errors = (
        [fmean(math.nan if x is None else x for x in of) for of in column]
        for column in (
            [[gap.value for gap in of] for of in by_draw],
            [[gap.standard_error for gap in of] for of in by_draw],
        )
    )
    return fmean(means), math.hypot(*errors) / len(errors)


def expected(runs: pd.DataFrame) -> float:
    """Return the mean agreement that is expected of another draw; NaN if it is not known."""
    known = [found.agreement for found in runs["stability"] if found is not None]
    return mean_of(known) if known else math.nan


def observed(runs: pd.DataFrame) -> float:
    """Return the mean share of the blocks that two draws have in common, with the same seed.

    NaN without two draws.
    """
    pairs = [
        pair
        for _, of_seed in runs.groupby("seed")
        for pair in itertools.combinations(of_seed["removed"], 2)
    ]
    return mean_of([share_in_common(*pair) for pair in pairs]) if pairs else math.nan


def share_in_common(a: Subset, b: Subset) -> float:
    """Return the share of blocks that two subsets of one size have in common.

    >>> share_in_common(frozenset({1, 2, 3, 4}), frozenset({2, 3, 4, 5}))
    0.75
    """
    return len(a & b) / len(a)


@dataclass(frozen=True)
class Repeat:
    """How much of the choice of a searcher another draw is expected to repeat, and does."""

    searcher: str
    budget: int
    expected: float
    observed: float


def repeats(study: Study, **fixed: Any) -> list[Repeat]:
    """Return those of each searcher and budget of which both are known."""
    groups = on_every_seed(study, **fixed).groupby(["searcher", "budget"], observed=True)
    found = [
        Repeat(searcher, budget, expected(runs), observed(runs))
        for (searcher, budget), runs in groups
    ]
    return [r for r in found if not math.isnan(r.expected + r.observed)]


def finite_points(found: Iterable[Point]) -> Sequence[Point]:
    """Select the points that can be drawn."""
    return [p for p in found if math.isfinite(p.calibration) and math.isfinite(p.held_out)]
