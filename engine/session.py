"""Losses of subsets under one objective, or under the weighted sum of several within bounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from prunekit.core.interfaces import ModelAdapter, Signal, Table
from prunekit.core.problem import DENSE, WHOLE, Subset, single_removals
from prunekit.engine.bounds import CEILING, Bound, below_ceiling
from prunekit.engine.cost import Speed
from prunekit.engine.reading import Difference, Reading
from prunekit.engine.signals import check_mixable
from prunekit.engine.single_session import SingleSession
from prunekit.engine.statistics import jackknife


@dataclass(frozen=True)
class Scale:
    """Location and spread of the losses of single removals."""

    median: float
    deviation: float

    @classmethod
    def of(cls, losses: Sequence[float]) -> Scale:
        """Return median and median absolute deviation of the finite losses; 1 without spread."""
        finite = [loss for loss in losses if math.isfinite(loss)]
        if not finite:
            return cls(0.0, 1.0)
        median = statistics.median(finite)
        return cls(median, statistics.median(abs(x - median) for x in finite) or 1.0)


class MixedSession:
    """The same of the weighted sum of standardised losses, within bounds."""

    def __init__(
        self,
        sessions: Sequence[SingleSession],
        weights: Sequence[float],
        ratios: Sequence[float | None] | None = None,
    ) -> None:
        """The first loss measures every single removal under each part, to know its scale.

        `ratios` are the bounds of the parts, None where there is none.
        """
        self.sessions = sessions
        self.facts = sessions[0].facts
        self.weights = weights
        pairs = zip(sessions, ratios or [None] * len(sessions), strict=True)
        self.bounds = [None if r is None else Bound(s.objective.name, r) for s, r in pairs]
        """one for each part, None where there is none"""
        words = {session.begins_with for session in sessions}
        self.begins_with = words.pop() if len(words) == 1 else ""

    @cached_property
    def scales(self) -> list[Scale]:
        """One for each part."""
        singles = single_removals(self.facts.n_blocks)
        return [Scale.of(session.losses(singles)) for session in self.sessions]

    @property
    def block_runs(self) -> int:
        return sum(session.block_runs for session in self.sessions)

    @property
    def measured(self) -> int:
        """A subset is one, under however many parts it is measured."""
        return max(session.measured for session in self.sessions)

    def losses(self, subsets: Sequence[Subset], share: float = WHOLE) -> list[float]:
        columns = [session.losses(subsets, share) for session in self.sessions]
        return [self._loss(row) for row in zip(*columns, strict=True)]

    @property
    def n_samples(self) -> int:
        return min(session.n_samples for session in self.sessions)

    def losses_of_split(
        self, subsets: Sequence[Subset], parts: int, seed: int
    ) -> list[tuple[float, ...]]:
        columns = [session.losses_of_split(subsets, parts, seed) for session in self.sessions]
        return [
            tuple(self._loss(row) for row in zip(*of_subset, strict=True))
            for of_subset in zip(*columns, strict=True)
        ]

    def works(self, subset: Subset) -> bool:
        return all(session.works(subset) for session in self.sessions)

    def broken_bounds(self, subset: Subset) -> list[str]:
        losses = [session.losses([subset, DENSE]) for session in self.sessions]
        pairs = zip(self.bounds, losses, strict=True)
        found = [bound.complaint(*of_both) for bound, of_both in pairs if bound]
        return list(filter(None, found))

    def difference(self, a: Subset, b: Subset) -> Difference:
        return self.differences([a], b)[0]

    def differences(
        self, subsets: Sequence[Subset], base: Subset, share: float = WHOLE
    ) -> list[Difference]:
        *losses, of_base = self.losses([*subsets, base], share)
        gaps = [loss - of_base for loss in losses]
        errors = [self._difference_error(subset, base, share) for subset in subsets]
        return [
            Difference(gap if math.isfinite(gap) else None, error)
            for gap, error in zip(gaps, errors, strict=True)
        ]

    def evaluations(self, share: float) -> int:
        return sum(session.evaluations(share) for session in self.sessions)

    def _difference_error(self, a: Subset, b: Subset, share: float) -> float | None:
        """Return the standard error; errors of parts on the same samples are correlated.

        None if a subset breaks a bound, as its loss is then no sum of losses.
        """
        if self._has_bounds and not all(self._is_sum(subset, share) for subset in (a, b)):
            return None
        together: dict[Any, list[list[float]]] = {}
        for session, factor in zip(self.sessions, self._factors(), strict=True):
            without = session.differences_without_each(a, b, share)
            if without is None:
                return None
            weighed = [factor * x for x in without]
            together.setdefault(session.calibration, []).append(weighed)
        sums = ([math.fsum(row) for row in zip(*parts, strict=True)] for parts in together.values())
        return math.hypot(*map(jackknife, sums))

    def reading(self, subset: Subset) -> Reading:
        """Return the loss with those of the parts."""
        parts = {s.objective.name: s.losses([subset])[0] for s in self.sessions}
        return Reading(self.losses([subset])[0], parts)

    def signal(self, signal: Signal) -> Table:
        """Return the signal of the first part, or the weighted sum if it is a derivative."""
        if not signal.derivative:
            return self.sessions[0].signal(signal)
        check_mixable(signal)
        tables = [session.signal(signal) for session in self.sessions]
        return [
            [
                sum(f * x for f, x in zip(self._factors(), cells, strict=True))
                for cells in zip(*rows, strict=True)
            ]
            for rows in zip(*tables, strict=True)
        ]

    def speed(self) -> Speed:
        """Return the sum of the parts, as every subset is measured under each."""
        first, *others = [session.speed() for session in self.sessions]
        return sum(others, start=first)

    @property
    def adapter(self) -> ModelAdapter | None:
        return self.sessions[0].adapter

    @property
    def _has_bounds(self) -> bool:
        return any(self.bounds)

    @cached_property
    def _dense_losses(self) -> list[float]:
        """Of each part."""
        return [session.losses([DENSE])[0] for session in self.sessions]

    def _bounded(self, total: float, losses: Sequence[float]) -> float:
        """Return the loss of a subset of this sum: see `prunekit.engine.bounds`."""
        if not math.isfinite(total):
            return total
        excess = self._excess(losses)
        return CEILING + excess if excess else below_ceiling(total)

    def _excess(self, losses: Sequence[float]) -> float:
        """Return how far all bounds are exceeded, each in deviations of its part."""
        rows = zip(self.bounds, losses, self._dense_losses, self.scales, strict=True)
        return math.fsum(b.excess(x, dense) / scale.deviation for b, x, dense, scale in rows if b)

    def _is_sum(self, subset: Subset, share: float) -> bool:
        """Return whether the loss of a subset is the plain sum of standardised losses."""
        row = [session.losses([subset], share)[0] for session in self.sessions]
        total = self._mix(row)
        return self._bounded(total, row) == total

    def _factors(self) -> list[float]:
        return [w / scale.deviation for w, scale in zip(self.weights, self.scales, strict=True)]

    def _loss(self, losses: Sequence[float]) -> float:
        total = self._mix(losses)
        return self._bounded(total, losses) if self._has_bounds else total

    def _mix(self, losses: Sequence[float]) -> float:
        if not all(map(math.isfinite, losses)):
            return math.inf
        parts = zip(losses, self.scales, self._factors(), strict=True)
        return math.fsum(factor * (loss - scale.median) for loss, scale, factor in parts)


Session: TypeAlias = SingleSession | MixedSession
