"""How far a measure moves where one thing changes and the rest stays."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import fmean

from prunekit.plugins.commands.report.measures import Measure, by_searcher, conditions
from prunekit.plugins.commands.report.reading import Study


@dataclass(frozen=True)
class Spans:
    """Distances in the unit of a measure."""

    searcher: tuple[float, ...]
    """from the worst searcher to the best, in every condition with two or more"""
    objective: tuple[float, ...]
    """between the means over searchers of two objectives, for every model, budget and pair"""


def spans(study: Study, measure: Measure) -> Spans:
    """Of all that is finite."""
    found = {}
    for condition in conditions(study):
        points = by_searcher(study, measure, **vars(condition))
        values = [point.mean for point in points.values() if math.isfinite(point.mean)]
        if values:
            found[condition] = values
    pairs = [
        (a, b)
        for a, b in itertools.combinations(found, 2)
        if (a.model, a.budget) == (b.model, b.budget)
    ]
    return Spans(
        tuple(max(values) - min(values) for values in found.values() if len(values) > 1),
        tuple(abs(fmean(found[a]) - fmean(found[b])) for a, b in pairs),
    )
