"""A model and an objective, opened for measuring: calibration set, meter, journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core.batching import batches_of
from prunekit.core.errors import ConfigError
from prunekit.core.files import write_text
from prunekit.core.interfaces import Meter, Sample
from prunekit.core.journal import Journal
from prunekit.core.ledger import Ledger
from prunekit.core.measurement import Reduce, difference_error, loss_of, mean_loss
from prunekit.core.options import values_of
from prunekit.core.problem import Subset
from prunekit.workflows.config import Plan
from prunekit.workflows.result import Difference


@dataclass
class Session:
    """Measures subsets, and turns measurements into losses."""

    meter: Meter
    ledger: Ledger
    reduce: Reduce

    def losses(self, subsets: Sequence[Subset]) -> list[float]:
        """The losses of subsets, in their order."""
        return [loss_of(m, self.reduce) for m in self.ledger.measure(subsets)]

    def signals(self, names: Sequence[str]) -> dict[str, Any]:
        """Signals by name, computed once and kept beside the journal."""
        return {name: self._signal(name) for name in names}

    def _signal(self, name: str) -> Any:
        path = self.ledger.journal.folder / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        signal = self.meter.signal(name)
        write_text(path, json.dumps(signal))
        return signal

    def difference(self, a: Subset, b: Subset) -> Difference:
        """How much more a loses than b, with the standard error over samples."""
        of_a, of_b = self.ledger.measure([a, b])
        error = difference_error(of_a, of_b, self.reduce)
        gap = loss_of(of_a, self.reduce) - loss_of(of_b, self.reduce)
        return Difference(gap if error is not None else None, error)


@contextmanager
def open_session(
    plan: Plan, workdir: Path, on_measured: Callable[[int], None]
) -> Iterator[Session]:
    """Load the model and everything measured of it before; close it at the end.

    ConfigError where a calibration sample is longer than the model's context.
    """
    samples = plan.objective.calibration_set(plan.checkpoint.tokenizer())
    _check_length(samples, plan)
    batches = batches_of(samples, plan.spec.tokens_per_forward)
    meter = plan.backend.open(plan.spec, plan.objective, batches)
    try:
        describes = describe(plan, meter, samples)
        folder = workdir / "journals" / digest_of(describes)
        ledger = Ledger(meter, batches, Journal(folder, describes), on_measured)
        yield Session(meter, ledger, getattr(plan.objective, "reduce", mean_loss))
    finally:
        meter.close()


def describe(plan: Plan, meter: Meter, samples: Sequence[Sample]) -> dict[str, Any]:
    """Everything that changes a loss; searcher, seed, budget and batch size do not."""
    return {
        **meter.facts.fingerprint,
        "objective": plan.objective.name,
        "options": values_of(plan.objective),
        "calibration": _digest_samples(samples),
    }


def digest_of(describes: Mapping[str, Any]) -> str:
    """A name for a journal's folder."""
    text = repr(sorted(describes.items()))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _digest_samples(samples: Sequence[Sample]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for sample in samples:
        for name in sorted(sample):
            digest.update(f"{name}{tuple(sample[name].shape)}".encode())
            digest.update(sample[name].cpu().numpy().tobytes())
    return digest.hexdigest()


def _check_length(samples: Sequence[Sample], plan: Plan) -> None:
    longest = max(sample["input_ids"].shape[1] for sample in samples)
    if plan.context_length is not None and longest > plan.context_length:
        raise ConfigError(
            f"a calibration sample has {longest:,} tokens, the model's context holds "
            f"{plan.context_length:,}; choose shorter samples in the options of "
            f"{plan.objective.name!r}"
        )
