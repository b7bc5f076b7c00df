"""The parts of a variance: due to objective, calibration, searcher, and chance.

Half the mean squared difference between two runs is the variance of what they differ in. So the
runs of one model and budget are paired, and the pairs are grouped by what differs:

    V_seed    the seed of the search alone
    V_draw    the calibration draw
    V_s       searcher and draw
    V_o       objective and draw
    V_os      objective, searcher and draw: the total

    objective = V_os - V_s              searcher = V_os - V_o
    both together = V_s + V_o - V_os - V_draw
    draw = V_draw - V_seed              seed = V_seed

which add up to V_os. If calibrations differ as well, an objective under a calibration is in place
of the objective, the total is V_ocs, and the part of these conditions, V_ocs - V_s, is

    objective = V_ocs - V_cs            calibration = V_ocs - V_os
    calibration by objective = V_cs + V_os - V_ocs - V_s

Objectives and calibrations are compared on different draws only, since on one draw two of them
may share their samples, as `ppl` and `kl` do. If the grid is complete, these are the estimates
of a random-effects analysis of variance in which objectives, calibrations, searchers and draws are
crossed, and seeds are nested in all. They are unbiased, also if objectives share no samples, and so
can be negative if a share is close to zero. Each V is a mean over the pairs that there are, so that
a cell may be missing. If no two objectives have a calibration in common, calibrations are nested
in objectives: V_os is unknown, and calibration = V_cs - V_s.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import fmean
from typing import Any, TypeVar

T = TypeVar("T")
FACTORS = ("objective", "calibration", "searcher", "draw")
Kind = frozenset[str]
"""the factors in which two runs differ"""
SEED, DRAW, SEARCHER = Kind(), Kind({"draw"}), Kind({"searcher", "draw"})
CONDITION = Kind({"objective", "calibration"})


@dataclass(frozen=True)
class Components:
    """Estimated parts of a variance; None if a study does not vary or cannot separate it."""

    objective: float | None
    calibration: float | None = field(default=None, kw_only=True)
    """also its effect that depends on the objective, if the two cannot be separated"""
    calibration_by_objective: float | None = field(default=None, kw_only=True)
    """the effect of a calibration that depends on the objective"""
    searcher: float | None
    together: float | None
    """the effect of a searcher that depends on the objective or the calibration"""
    draw: float
    seed: float | None

    @property
    def parts(self) -> dict[str, float]:
        """Return the known parts by name, in words."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return {name.replace("_", " "): value for name, value in known.items()}

    @property
    def total(self) -> float:
        """Return the variance between two runs that have nothing in common."""
        return math.fsum(self.parts.values())

    @property
    def shares(self) -> dict[str, float]:
        """Return the parts over their sum, with negative ones as 0; all 0 if nothing varies."""
        positive = {name: max(0.0, value) for name, value in self.parts.items()}
        whole = math.fsum(positive.values())
        return {name: value / whole if whole else 0.0 for name, value in positive.items()}


def components(
    observed: Sequence[tuple[Any, T]], squared_distance: Callable[[T, T], float]
) -> Components | None:
    """Return the parts of the variance of what was observed in the cells of one model and budget.

    None without two draws, since only these separate chance from the rest.
    """
    v = _variances(observed, squared_distance)
    if DRAW not in v:
        return None
    seed = v.get(SEED)
    draw = v[DRAW] - (seed or 0.0)
    differing = Kind().union(*(kind for kind in v if kind >= DRAW)) & CONDITION
    condition, total = differing | DRAW, differing | SEARCHER
    if differing and {condition, SEARCHER, total} <= v.keys():
        together = v[SEARCHER] + v[condition] - v[total] - v[DRAW]
        of_condition = _of_condition(v, differing, SEARCHER)
        searcher = v[total] - v[condition]
        return Components(
            searcher=searcher, together=together, draw=draw, seed=seed, **of_condition
        )
    alone = v[SEARCHER] - v[DRAW] if SEARCHER in v else None
    of_condition = _of_condition(v, differing, DRAW)
    return Components(searcher=alone, together=None, draw=draw, seed=seed, **of_condition)


def _of_condition(
    v: Mapping[Kind, float], differing: Kind, besides: Kind
) -> dict[str, float | None]:
    """Split what another objective and calibration change in runs that differ in `besides`, too."""
    o, c = besides | {"objective"}, besides | {"calibration"}
    both = besides | differing
    if len(differing) < len(CONDITION) or both not in v:
        return {
            "objective": v[o] - v[besides] if o in v else None,
            "calibration": v[c] - v[besides] if c in v else None,
        }
    if c not in v:  # each objective has a calibration of its own, which counts as a part of it
        return {"objective": v[both] - v[besides]}
    if o not in v:
        return {"objective": v[both] - v[c], "calibration": v[c] - v[besides]}
    return {
        "objective": v[both] - v[c],
        "calibration": v[both] - v[o],
        "calibration_by_objective": v[c] + v[o] - v[both] - v[besides],
    }


def _variances(
    observed: Sequence[tuple[Any, T]], squared_distance: Callable[[T, T], float]
) -> dict[Kind, float]:
    """Return half the mean squared distance of the pairs that differ in the same factors."""
    distances: dict[tuple[bool, ...], list[float]] = {}
    for (a, of_a), (b, of_b) in itertools.combinations(observed, 2):
        differs = (
            a.objective != b.objective,
            a.calibration != b.calibration,
            a.searcher != b.searcher,
            a.draw != b.draw,
        )
        distances.setdefault(differs, []).append(squared_distance(of_a, of_b))
    return {
        Kind(itertools.compress(FACTORS, differs)): fmean(values) / 2
        for differs, values in distances.items()
    }


def pooled(parts: Sequence[Components]) -> Components | None:
    """Add up the models and budgets with the most known parts; None without any.

    In an unfinished study, one with a single objective so far would hide that part of the others.
    """
    if not parts:
        return None
    most = max(len(part.parts) for part in parts)
    best = [part for part in parts if len(part.parts) == most]

    def total(name: str) -> float | None:
        values = [vars(part)[name] for part in best]
        return None if None in values else math.fsum(values)

    return Components(**{f.name: total(f.name) for f in fields(Components)})  # type: ignore[arg-type]
