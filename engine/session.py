"""Losses of subsets under one objective, or under the weighted sum of several."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from prunekit.core.contracts import overrides
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Meter, ModelAdapter, Objective, Signal, Table
from prunekit.core.measurement import loss_of, mean_loss
from prunekit.core.problem import DENSE, Subset, single_removals
from prunekit.engine.bounds import CEILING, Bound, below_ceiling
from prunekit.engine.cache import MeasurementCache
from prunekit.engine.cost import Speed, measure_speed
from prunekit.engine.files import write_text
from prunekit.engine.result import Difference, Reading
from prunekit.engine.signals import check_finite, check_mixable, check_table
from prunekit.engine.statistics import differences_without_each, jackknife
from prunekit.engine.stored import misfit, read_json


class SingleSession:
    """Losses of subsets under one objective."""

    def __init__(
        self, objective: Objective, meter: Meter, cache: MeasurementCache, begins_with: str = ""
    ) -> None:
        self.objective: Any = objective
        self.meter = meter
        self.cache = cache
        self.facts = meter.facts
        self.begins_with = begins_with
        """the beginning-of-text token of every sample; empty if there is none"""
        self.reduce = self._reduce if overrides(objective, Objective.reduce) else mean_loss

    @property
    def block_runs(self) -> int:
        """Blocks run so far, each over a whole calibration set."""
        return self.cache.block_runs

    @property
    def measured(self) -> int:
        """Subsets measured so far, not counting those in the journal."""
        return self.cache.measured

    def losses(self, subsets: Sequence[Subset]) -> list[float]:
        """Return the losses of subsets, in their order."""
        return [loss_of(m, self.reduce) for m in self.cache.measure(subsets)]

    def works(self, subset: Subset) -> bool:
        """Return whether the loss of a subset is finite; only this subset is measured."""
        return math.isfinite(self.losses([subset])[0])

    def broken_bounds(self, subset: Subset) -> list[str]:
        """Return a sentence for each bound that a subset breaks; only a mix has bounds."""
        return []

    def difference(self, a: Subset, b: Subset) -> Difference:
        """Return the loss of a minus that of b, with the standard error over samples."""
        loss_of_a, loss_of_b = self.losses([a, b])
        gap = loss_of_a - loss_of_b
        without = self.differences_without_each(a, b)
        return Difference(
            gap if math.isfinite(gap) else None, None if without is None else jackknife(without)
        )

    def differences_without_each(self, a: Subset, b: Subset) -> list[float] | None:
        """Return it without each of the samples in turn; None if the error cannot be estimated."""
        of_a, of_b = self.cache.measure([a, b])
        return differences_without_each(of_a, of_b, self.reduce)

    def reading(self, subset: Subset) -> Reading:
        """Return the loss of one subset, also in other units."""
        (loss,) = self.losses([subset])
        with blaming("objective", self.objective):
            others = self.objective.readings(loss)
            return Reading(loss, {name: float(x) for name, x in others.items()})

    def _reduce(self, sums: Sequence[float], weights: Sequence[float]) -> float:
        with blaming("objective", self.objective):
            return float(self.objective.reduce(sums, weights))

    @property
    def calibration(self) -> Any:
        """The same for all sessions that measure on the same samples."""
        return self.cache.journal.describes["calibration"]

    def signal(self, signal: Signal) -> Table:
        """Return a signal of the dense model, computed once and kept beside the journal."""
        path = self.cache.journal.folder / f"{signal.name}.json"
        if path.is_file():
            return self._stored_signal(signal, path)
        table = self.meter.signal(signal)
        check_finite(signal, table)
        write_text(path, json.dumps(table))
        return table

    def _stored_signal(self, signal: Signal, path: Path) -> Table:
        again = "remove it and search again"
        table: Table = read_json(path, again)
        try:
            check_table(signal, table, self.facts.n_blocks, self.cache.n_samples)
            if found := misfit(table, tuple[tuple[float, ...], ...], signal.name):
                raise ValueError(found)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}; {again}") from error
        return [[float(x) for x in row] for row in table]  # numpy takes no integer of any size

    def speed(self) -> Speed:
        """Time a block and a subset with a few forwards that are not kept."""
        batches = len(self.cache.spans)
        return measure_speed(self.meter, batches, of=batches)

    @property
    def adapter(self) -> ModelAdapter | None:
        """The loaded model, if it is in this process."""
        return self.meter.adapter


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

    def losses(self, subsets: Sequence[Subset]) -> list[float]:
        columns = [session.losses(subsets) for session in self.sessions]
        sums = [self._mix(row) for row in zip(*columns, strict=True)]
        if not self._has_bounds:
            return sums
        rows = zip(sums, zip(*columns, strict=True), strict=True)
        return [self._bounded(total, row) for total, row in rows]

    def works(self, subset: Subset) -> bool:
        return all(session.works(subset) for session in self.sessions)

    def broken_bounds(self, subset: Subset) -> list[str]:
        losses = [session.losses([subset, DENSE]) for session in self.sessions]
        pairs = zip(self.bounds, losses, strict=True)
        found = [bound.complaint(*of_both) for bound, of_both in pairs if bound]
        return list(filter(None, found))

    def difference(self, a: Subset, b: Subset) -> Difference:
        loss_of_a, loss_of_b = self.losses([a, b])
        gap = loss_of_a - loss_of_b
        return Difference(gap if math.isfinite(gap) else None, self._difference_error(a, b))

    def _difference_error(self, a: Subset, b: Subset) -> float | None:
        """Return the standard error; errors of parts on the same samples are correlated.

        None if a subset breaks a bound, as its loss is then no sum of losses.
        """
        if self._has_bounds and not all(map(self._is_sum, (a, b))):
            return None
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

    def _is_sum(self, subset: Subset) -> bool:
        """Return whether the loss of a subset is the plain sum of standardised losses."""
        row = [session.losses([subset])[0] for session in self.sessions]
        total = self._mix(row)
        return self._bounded(total, row) == total

    def _factors(self) -> list[float]:
        return [w / scale.deviation for w, scale in zip(self.weights, self.scales, strict=True)]

    def _mix(self, losses: Sequence[float]) -> float:
        if not all(map(math.isfinite, losses)):
            return math.inf
        parts = zip(losses, self.scales, self._factors(), strict=True)
        return math.fsum(factor * (loss - scale.median) for loss, scale, factor in parts)


Session: TypeAlias = SingleSession | MixedSession
