"""Losses of subsets under one objective, from measurements in a ledger."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from prunekit.core.blame import blaming
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Meter, ModelAdapter, ModelFacts, Objective
from prunekit.core.measurement import differences_without_each, jackknife, loss_of, mean_loss
from prunekit.core.problem import Subset
from prunekit.engine.files import write_text
from prunekit.engine.ledger import Ledger
from prunekit.engine.result import Difference, Reading
from prunekit.engine.signal_tables import check_finite, check_table
from prunekit.engine.speed import Speed, measure_speed
from prunekit.engine.stored import read_json


class Session(Protocol):
    """Losses of subsets under one objective."""

    facts: ModelFacts
    begins_with: str
    """the beginning-of-text token that every sample begins with; empty where it does not"""

    @property
    def block_runs(self) -> int:
        """Blocks run so far, each over a whole calibration set."""
        ...

    @property
    def measured(self) -> int:
        """Subsets measured so far, not counting those in the journal."""
        ...

    def losses(self, subsets: Sequence[Subset]) -> list[float]:
        """The losses of subsets, in their order."""
        ...

    def works(self, subset: Subset) -> bool:
        """Whether a subset has a finite loss; no more is measured than this subset."""
        ...

    def difference(self, a: Subset, b: Subset) -> Difference:
        """How much more a loses than b, with the standard error over samples."""
        ...

    def reading(self, subset: Subset) -> Reading:
        """The loss of one subset, and other numbers that say the same."""
        ...

    def signal(self, name: str) -> Any:
        """A signal of the dense model, computed once and kept beside the journal."""
        ...

    def speed(self) -> Speed:
        """How long a block and a subset take, from a few forwards that are not kept."""
        ...

    @property
    def adapter(self) -> ModelAdapter | None:
        """The loaded model, where it is in this process."""
        ...


class SingleSession:
    """A session of one objective."""

    def __init__(
        self, objective: Objective, meter: Meter, ledger: Ledger, begins_with: str = ""
    ) -> None:
        self.objective: Any = objective
        self.meter = meter
        self.ledger = ledger
        self.facts = meter.facts
        self.begins_with = begins_with
        self.reduce = self._reduce if hasattr(objective, "reduce") else mean_loss

    @property
    def block_runs(self) -> int:
        return self.ledger.block_runs

    @property
    def measured(self) -> int:
        return self.ledger.measured

    def losses(self, subsets: Sequence[Subset]) -> list[float]:
        return [loss_of(m, self.reduce) for m in self.ledger.measure(subsets)]

    def works(self, subset: Subset) -> bool:
        return math.isfinite(self.losses([subset])[0])

    def difference(self, a: Subset, b: Subset) -> Difference:
        loss_of_a, loss_of_b = self.losses([a, b])
        gap = loss_of_a - loss_of_b
        without = self.differences_without_each(a, b)
        return Difference(
            gap if math.isfinite(gap) else None, None if without is None else jackknife(without)
        )

    def differences_without_each(self, a: Subset, b: Subset) -> list[float] | None:
        """The same without each of the samples in turn; None where no error can be told."""
        of_a, of_b = self.ledger.measure([a, b])
        return differences_without_each(of_a, of_b, self.reduce)

    def reading(self, subset: Subset) -> Reading:
        (loss,) = self.losses([subset])
        readings = getattr(self.objective, "readings", None)
        if readings is None:
            return Reading(loss, {})
        with blaming("objective", self.objective):
            return Reading(loss, {name: float(x) for name, x in readings(loss).items()})

    def _reduce(self, sums: Sequence[float], weights: Sequence[float]) -> float:
        with blaming("objective", self.objective):
            return float(self.objective.reduce(sums, weights))

    @property
    def calibration(self) -> Any:
        """The same for all sessions that measure on the same samples."""
        return self.ledger.journal.describes["calibration"]

    def signal(self, name: str) -> Any:
        path = self.ledger.journal.folder / f"{name}.json"
        if path.is_file():
            return self._stored_signal(name, path)
        signal = self.meter.signal(name)
        check_finite(name, signal)
        write_text(path, json.dumps(signal))
        return signal

    def _stored_signal(self, name: str, path: Path) -> Any:
        again = "remove it and search again"
        signal = read_json(path, again)
        try:
            check_table(name, signal, self.facts.n_blocks, self.ledger.n_samples)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}; {again}") from error
        if not all(math.isfinite(x) for row in signal for x in row):
            raise ConfigError(f"{path}: not all of its numbers are finite; {again}")
        return signal

    def speed(self) -> Speed:
        batches = len(self.ledger.spans)
        return measure_speed(self.meter, batches, of=batches)

    @property
    def adapter(self) -> ModelAdapter | None:
        return getattr(self.meter, "adapter", None)
