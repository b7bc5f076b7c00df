"""What choices cost on the calibration draw of their search, and on the other draws.

L[d, e] is how far the choice on draw d is above the dense model on the samples of draw e, on
average over seeds. `own` is the mean of L[d, d] over draws, `others` that of L[d, e] over all pairs
of different draws, and `gap` is others - own. In the gap the level of a draw and the quality of a
choice cancel, as each draw and each choice take part in both means alike.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from prunekit.core.problem import Subset
from prunekit.engine.statistics import jackknife
from prunekit.engine.stored import subset_named
from prunekit.plugins.commands.report.averages import mean_of
from prunekit.plugins.commands.report.data import Study

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["objective", "budget", "model", "searcher"]
MEANS = ("own", "others", "gap")
FEWEST = 3
"""draws for an error: without one of two, no pair is left"""
Losses = Mapping[tuple[int, int], float]
"""L by the draw of the search and that of the samples"""


def other_draws(study: Study) -> pd.DataFrame:
    """Return own, others and gap of each searcher in each condition, `NAME ±` their errors.

    Of the draws on which it has ended, if there are two or more and all of their choices are
    measured on all of them. The errors are standard errors by the jackknife, which leaves out a
    draw both as that of a search and as that of samples; NaN with fewer than three draws.
    """
    import pandas as pd

    known = _known(study)
    rows = []
    for key, runs in study.runs.groupby(KEYS, observed=True):
        if found := _losses(runs, known):
            where = dict(zip(KEYS, key, strict=True))
            rows.append(where | {"draws": len(_draws(found))} | _means(found))
    columns = [column for name in MEANS for column in (name, f"{name} ±")]
    return pd.DataFrame(rows, columns=[*KEYS, "draws", *columns])


class Elsewhere(NamedTuple):
    """A choice, and a draw whose samples it was not searched on."""

    model: str
    objective: str
    draw: int
    removed: Subset


def unmeasured(study: Study) -> list[Elsewhere]:
    """Return what is not known of the finished runs, each once."""
    known = _known(study)
    missing: dict[Elsewhere, None] = {}
    for _, runs in study.runs.groupby(["model", "objective"], observed=True):
        for run, draw in itertools.product(runs.itertuples(), sorted(set(runs["draw"]))):
            where = Elsewhere(run.model, run.objective, draw, run.removed)
            if draw != run.draw and where not in known:
                missing[where] = None
    return list(missing)


def _known(study: Study) -> dict[Elsewhere, float]:
    return {
        Elsewhere(of.model, of.objective, of.draw, subset_named(name)): math.inf if x is None else x
        for of in study.on_draws
        for name, x in of.differences.items()
    }


def _losses(runs: pd.DataFrame, known: Mapping[Elsewhere, float]) -> Losses:
    """Return L of the runs of a searcher; empty with one draw, or if one of them is not known."""
    draws = sorted(set(runs["draw"]))
    found: dict[tuple[int, int], list[float]] = {}
    for run, draw in itertools.product(runs.itertuples(), draws):
        where = Elsewhere(run.model, run.objective, draw, run.removed)
        loss = run.difference if draw == run.draw else known.get(where)
        if loss is None:
            return {}
        found.setdefault((run.draw, draw), []).append(loss)
    return {pair: mean_of(of) for pair, of in found.items()} if len(draws) > 1 else {}


def _draws(found: Losses) -> list[int]:
    return sorted({d for d, _ in found})


def _means(found: Losses) -> dict[str, float]:
    whole = averages(found)
    draws = _draws(found)
    row = {}
    for name in MEANS:
        row[name], row[f"{name} ±"] = whole[name], math.nan
        if len(draws) >= FEWEST and math.isfinite(whole[name]):
            row[f"{name} ±"] = jackknife([averages(_without(found, d))[name] for d in draws])
    return row


def _without(found: Losses, draw: int) -> Losses:
    return {pair: loss for pair, loss in found.items() if draw not in pair}


def averages(found: Losses) -> dict[str, float]:
    """Return own, others and gap.

    >>> averages({(0, 0): 1.0, (1, 1): 2.0, (0, 1): 4.0, (1, 0): 2.0})
    {'own': 1.5, 'others': 3.0, 'gap': 1.5}
    """
    own = mean_of([loss for (d, e), loss in found.items() if d == e])
    others = mean_of([loss for (d, e), loss in found.items() if d != e])
    return {"own": own, "others": others, "gap": others - own}
