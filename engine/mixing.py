"""Several sessions weighed into one, for an objective that is made of others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prunekit.core.interfaces import ModelAdapter, Signal, Table
from prunekit.core.problem import Subset, single_removals
from prunekit.engine.result import Difference, Reading
from prunekit.engine.session import SingleSession
from prunekit.engine.signals import check_mixable
from prunekit.engine.speed import Speed
from prunekit.engine.statistics import jackknife


@dataclass(frozen=True)
class Scale:
    """Where the losses of single removals lie, and how far they spread."""

    median: float
    deviation: float

    @classmethod
    def of(cls, losses: Sequence[float]) -> Scale:
        """Median and median absolute deviation of the finite losses; 1 where there is no spread."""
        finite = [loss for loss in losses if math.isfinite(loss)]
        if not finite:
            return cls(0.0, 1.0)
        median = statistics.median(finite)
        return cls(median, statistics.median(abs(x - median) for x in finite) or 1.0)


class MixedSession:
    """The weighted sum of standardised losses."""

    def __init__(self, sessions: Sequence[SingleSession], weights: Sequence[float]) -> None:
        """The first loss measures every single removal under each part, to know its scale."""
        self.sessions = sessions
        self.facts = sessions[0].facts
        self.weights = weights
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

    def losses(self, subsets: Sequence[Subset]) -> list[float]:
        columns = [session.losses(subsets) for session in self.sessions]
        return [self._mix(row) for row in zip(*columns, strict=True)]

    def works(self, subset: Subset) -> bool:
        return all(session.works(subset) for session in self.sessions)

    def difference(self, a: Subset, b: Subset) -> Difference:
        loss_of_a, loss_of_b = self.losses([a, b])
        gap = loss_of_a - loss_of_b
        return Difference(gap if math.isfinite(gap) else None, self._difference_error(a, b))

    def _difference_error(self, a: Subset, b: Subset) -> float | None:
        """Parts on the same samples err together, others independently."""
        together: dict[Any, list[list[float]]] = {}
        for session, factor in zip(self.sessions, self._factors(), strict=True):
            without = session.differences_without_each(a, b)
            if without is None:
                return None
            weighed = [factor * x for x in without]
            together.setdefault(session.calibration, []).append(weighed)
        sums = ([math.fsum(row) for row in zip(*parts, strict=True)] for parts in together.values())
        return math.hypot(*map(jackknife, sums))

    def reading(self, subset: Subset) -> Reading:
        """With the loss of each part."""
        parts = {s.objective.name: s.losses([subset])[0] for s in self.sessions}
        return Reading(self.losses([subset])[0], parts)

    def signal(self, signal: Signal) -> Table:
        """Derivatives add up, unless they are of samples: the parts' samples differ."""
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
        """Every subset is measured under each part."""
        first, *others = [session.speed() for session in self.sessions]
        return sum(others, start=first)

    @property
    def adapter(self) -> ModelAdapter | None:
        return self.sessions[0].adapter

    def _factors(self) -> list[float]:
        return [w / scale.deviation for w, scale in zip(self.weights, self.scales, strict=True)]

    def _mix(self, losses: Sequence[float]) -> float:
        if not all(map(math.isfinite, losses)):
            return math.inf
        parts = zip(losses, self.scales, self._factors(), strict=True)
        return math.fsum(factor * (loss - scale.median) for loss, scale, factor in parts)
