"""Losses of subsets under one objective."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prunekit.core.contracts import overrides
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Meter, ModelAdapter, Objective, Signal, Table
from prunekit.core.measurement import Measurement, loss_of, mean_loss
from prunekit.core.problem import WHOLE, Subset
from prunekit.engine.cache import MeasurementCache
from prunekit.engine.cost import Speed, measure_speed
from prunekit.engine.files import write_text
from prunekit.engine.reading import Difference, Reading
from prunekit.engine.signals import check_finite, check_table
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

    def losses(self, subsets: Sequence[Subset], share: float = WHOLE) -> list[float]:
        """Return the losses of subsets, in their order, on the first `share` of the samples."""
        return [loss_of(m, self.reduce) for m in self.cache.measure(subsets, share)]

    @property
    def n_samples(self) -> int:
        """The size of the calibration set."""
        return self.cache.n_samples

    def losses_of_split(
        self, subsets: Sequence[Subset], parts: int, seed: int
    ) -> list[tuple[float, ...]]:
        """Split the samples at random into equal parts; return a subset's loss on each of them.

        Equal seeds split sets of equal size alike. At most `parts - 1` samples are in no part.
        """
        order = random.Random(seed).sample(range(self.n_samples), self.n_samples)
        size = self.n_samples // parts
        rows = [order[i * size : (i + 1) * size] for i in range(parts)]
        measured = self.cache.measure(subsets)
        return [tuple(loss_of(m.of(part), self.reduce) for part in rows) for m in measured]

    def works(self, subset: Subset) -> bool:
        """Return whether the loss of a subset is finite; only this subset is measured."""
        return math.isfinite(self.losses([subset])[0])

    def broken_bounds(self, subset: Subset) -> list[str]:
        """Return a sentence for each bound that a subset breaks; only a mix has bounds."""
        return []

    def difference(self, a: Subset, b: Subset) -> Difference:
        """Return the loss of a minus that of b, with the standard error over samples."""
        return self.differences([a], b)[0]

    def differences(
        self, subsets: Sequence[Subset], base: Subset, share: float = WHOLE
    ) -> list[Difference]:
        """Return the losses of subsets minus that of `base`, on the first `share` of the samples.

        The standard errors are those over samples.
        """
        *measured, of_base = self.cache.measure([*subsets, base], share)
        return [self._difference(of_subset, of_base) for of_subset in measured]

    def _difference(self, a: Measurement, b: Measurement) -> Difference:
        gap = loss_of(a, self.reduce) - loss_of(b, self.reduce)
        without = differences_without_each(a, b, self.reduce)
        return Difference(
            gap if math.isfinite(gap) else None, None if without is None else jackknife(without)
        )

    def evaluations(self, share: float) -> int:
        """Return how many samples a subset is measured on for that share of them."""
        return math.ceil(share * self.n_samples)

    def differences_without_each(
        self, a: Subset, b: Subset, share: float = WHOLE
    ) -> list[float] | None:
        """Return it without each of the samples in turn; None if the error cannot be estimated."""
        of_a, of_b = self.cache.measure([a, b], share)
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
