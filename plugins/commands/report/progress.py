"""The best loss that searches had measured so far, on average over the runs of a searcher."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from prunekit.engine.best_so_far import Improvement
from prunekit.plugins.commands.report.data import Study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Curve:
    """A mean over runs, which stays the same from each point to the next."""

    block_runs: Sequence[int]
    differences: Sequence[float]
    """losses above dense"""


def curves(study: Study, **fixed: Any) -> dict[str, Curve]:
    """Return the curve of each searcher all of whose finished runs have improvements.

    It begins where each of its runs has measured a subset of the budget's size, and ends where the
    last of them has ended.
    """
    runs = study.where(**fixed)
    return {
        searcher: _mean(of)
        for searcher, of in runs.groupby("searcher", observed=True)
        if all(of["improvements"])
    }


def _mean(runs: pd.DataFrame) -> Curve:
    found = list(runs["improvements"])
    begin = max(of[0].block_runs for of in found)
    places = {improvement.block_runs for of in found for improvement in of}
    xs = sorted({begin, *(x for x in places if x > begin), int(runs["block_runs"].max())})
    return Curve(xs, [fmean(_best(of, x) for of in found) for x in xs])


def _best(found: Sequence[Improvement], block_runs: int) -> float:
    """Return the best difference that was known after these block forwards."""
    return found[bisect_right([i.block_runs for i in found], block_runs) - 1].difference


def share_until_last(runs: pd.DataFrame) -> float | None:
    """Return the mean share of its block forwards after which a search improved no more.

    Of the searches that improved at all; None if there is none.
    """
    pairs = zip(runs["improvements"], runs["block_runs"], strict=True)
    shares = [found[-1].block_runs / total for found, total in pairs if len(found) > 1]
    return fmean(shares) if shares else None
