"""Open a model and an objective for measuring: calibration set, checked meter, journal."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import Batch, Sample
from prunekit.core.contracts import complete
from prunekit.core.errors import Remark, blaming
from prunekit.core.interfaces import Backend, Meter, Objective, Signal, Table
from prunekit.core.measurement import Piece, check_piece
from prunekit.core.options import internals_of, values_of
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.spec import ModelFacts, Spec
from prunekit.engine.bos import begins_with, remark_on_bos
from prunekit.engine.cache import MeasurementCache
from prunekit.engine.journal import Journal
from prunekit.engine.known import recall, remember
from prunekit.engine.plan import Plan
from prunekit.engine.race import ends_of_looks
from prunekit.engine.rounding import arrangement, shapes
from prunekit.engine.samples import digest_of_samples, samples_of
from prunekit.engine.session import MixedSession, Session
from prunekit.engine.signals import check_table
from prunekit.engine.single_session import SingleSession
from prunekit.hf.guard import Guard
from prunekit.hf.identity import digest_of_code
from prunekit.hf.tokens import batches_of
from prunekit.hf.vocabulary import has_token

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


@contextmanager
def open_session(
    plan: Plan,
    workdir: Path,
    on_measured: Callable[[float], None] = lambda subsets: None,
    on_written: Callable[[], None] = lambda: None,
) -> Iterator[Session]:
    """Load the model and everything measured of it before; close it at the end.

    `on_measured` and `on_written` are those of a MeasurementCache. Warns with a Remark, once for
    each journal, if much depends on how the calibration samples begin. Raises ConfigError if a
    calibration sample is longer than the model's context.
    """
    with ExitStack() as stack:
        place = workdir.absolute()  # a plugin may change the working directory
        sessions = [
            stack.enter_context(_open_part(plan, objective, place, on_measured, on_written))
            for objective, _ in plan.parts
        ]
        if plan.is_mix:
            yield MixedSession(sessions, [weight for _, weight in plan.parts], plan.bounds)
        else:
            yield sessions[0]


@contextmanager
def _open_part(
    plan: Plan,
    objective: Objective,
    workdir: Path,
    on_measured: Callable[[float], None],
    on_written: Callable[[], None],
) -> Iterator[SingleSession]:
    tokenizer = plan.checkpoint.tokenizer()
    samples = samples_of(objective, tokenizer, plan.model_config)
    batches = planned_batches(plan, samples)
    spec = recall(plan.spec, workdir)
    meter = open_meter(plan.backend, spec, objective, batches)
    try:
        remember(meter.facts, replace(plan.checkpoint, known=spec.known), workdir)
        describes = _describe(objective, meter, samples, batches)
        folder = workdir / "journals" / _digest(describes)
        journal = Journal(folder, describes, meter.facts.n_blocks, len(samples))
        cache = MeasurementCache(meter, batches, journal, on_measured, on_written)
        session = SingleSession(objective, meter, cache, begins_with(samples, tokenizer))
        if remark := _remark(session, samples, tokenizer, plan.model_config):
            warnings.warn(remark, Remark, stacklevel=2)
        yield session
    finally:
        meter.close()


def planned_batches(plan: Plan, samples: Sequence[Sample]) -> list[Batch]:
    """Return the batches of samples; where candidates race, they end where a race looks."""
    races = plan.config.settings.race_deviations > 0
    ends = ends_of_looks(len(samples)) if races else []
    return batches_of(samples, plan.spec.tokens_per_forward, ends)


def _remark(
    session: SingleSession,
    samples: Sequence[Sample],
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
) -> str:
    """Return a remark on the samples, if nothing was measured yet and the model is loaded here."""
    is_known = session.cache.journal.recall(DENSE, len(samples)) is not None
    if is_known or session.adapter is None or not has_token(config, tokenizer.bos_token_id):
        return ""
    return remark_on_bos(session.adapter, session.objective, samples, tokenizer)


def calibration_samples(plan: Plan, objective: Objective) -> Sequence[Sample]:
    """Return the samples of an objective.

    Raises ConfigError if one exceeds the context, or has a token that the model lacks.
    """
    return samples_of(objective, plan.checkpoint.tokenizer(), plan.model_config)


def _describe(
    objective: Objective, meter: Meter, samples: Sequence[Sample], batches: Sequence[Batch]
) -> dict[str, Any]:
    """Return everything that changes a loss; searcher, seed and budget do not."""
    return {
        **meter.facts.fingerprint,
        "objective": f"{type(objective).__module__}.{type(objective).__qualname__}",
        "code": digest_of_code(type(objective)),
        "options": {**values_of(objective), **internals_of(objective)},
        "calibration": digest_of_samples(samples),
        **arrangement(meter.facts.fingerprint, shapes(batches, objective.reads_targets_only)),
    }


def _digest(describes: Mapping[str, Any]) -> str:
    """Return a name for a journal's folder."""
    text = repr(sorted(describes.items()))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def open_meter(
    backend: Backend, spec: Spec, objective: Objective, batches: Sequence[Batch]
) -> Meter:
    """Open a meter whose pieces are checked. Raises PluginError if the backend returns none."""
    with blaming("backend", backend), Guard().watching():
        meter = backend.open(spec, objective, batches)
        if not isinstance(getattr(meter, "facts", None), ModelFacts):
            raise TypeError(f"`open` must give a meter with `facts`, not {type(meter).__name__}")
        complete(type(meter), Meter)
    return CheckedMeter(backend, meter, [batch.n_samples for batch in batches])


class CheckedMeter(Meter):
    """Passes requests on to a meter, and checks what it returns."""

    def __init__(self, backend: Backend, meter: Meter, samples: Sequence[int]) -> None:
        self._backend = backend
        self._meter = meter
        self._samples = samples
        """in each batch"""
        self.facts = meter.facts
        self.adapter = meter.adapter
        self.replicas = meter.replicas

    @property
    def states_kept(self) -> int:
        """Ask the meter."""
        with blaming("backend", self._backend):
            return self._meter.states_kept

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """Yield one piece for each subset of each batch. Raises PluginError if one is missing."""
        left = {(batch, subset) for batch, subsets in enumerate(wanted) for subset in subsets}
        with blaming("backend", self._backend):
            pieces = iter(self._meter.measure(wanted))
        while (piece := self._next(pieces, left)) is not None:
            yield piece

    def _next(self, pieces: Iterator[Piece], left: set[tuple[int, Subset]]) -> Piece | None:
        """Return the next piece, checked and taken from those that are `left`; None at the end."""
        with blaming("backend", self._backend):
            for piece in pieces:
                if not isinstance(piece, Piece) or (piece.batch, piece.subset) not in left:
                    raise ValueError(f"`measure` gives {piece!r}, which was not asked for")
                check_piece(piece, self._samples[piece.batch])
                left.remove((piece.batch, piece.subset))
                return piece
            for batch, subset in left:
                raise ValueError(
                    f"`measure` gives {len(left)} pieces too few; one is that of batch {batch} and "
                    f"blocks {words(subset)}"
                )
        return None

    def signal(self, signal: Signal) -> Table:
        """Measure a signal of the dense model. Raises PluginError if it has another shape."""
        with blaming("backend", self._backend):
            table = self._meter.signal(signal)
            check_table(signal, table, self.facts.n_blocks, sum(self._samples))
            return table

    def close(self) -> None:
        """Free what the meter holds."""
        with blaming("backend", self._backend):
            self._meter.close()
