"""A meter that is watched: whatever goes wrong in it is told in one line that names its backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunekit.core.contracts import complete
from prunekit.core.errors import blaming
from prunekit.core.interfaces import (
    Backend,
    Batch,
    Meter,
    ModelFacts,
    Objective,
    Signal,
    Spec,
    Table,
)
from prunekit.core.measurement import Piece, check_piece
from prunekit.core.problem import Subset, words
from prunekit.engine.signals import check_table


def open_meter(
    backend: Backend, spec: Spec, objective: Objective, batches: Sequence[Batch]
) -> Meter:
    """The meter that a backend opens, watched; PluginError where it is none."""
    with blaming("backend", backend):
        meter = backend.open(spec, objective, batches)
        if not isinstance(getattr(meter, "facts", None), ModelFacts):
            raise TypeError(f"`open` must give a meter with `facts`, not {type(meter).__name__}")
        complete(type(meter), Meter)
    return WatchedMeter(backend, meter, [batch.n_samples for batch in batches])


class WatchedMeter(Meter):
    """Hands everything on to a meter, and looks at what comes back."""

    def __init__(self, backend: Backend, meter: Meter, samples: Sequence[int]) -> None:
        self._backend = backend
        self._meter = meter
        self._samples = samples
        """in each batch"""
        self.facts = meter.facts
        self.adapter = meter.adapter
        self.replicas = meter.replicas

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """One piece for each subset of each batch; PluginError where one is lost, or no piece."""
        left = {(batch, subset) for batch, subsets in enumerate(wanted) for subset in subsets}
        with blaming("backend", self._backend):
            for piece in self._meter.measure(wanted):
                if not isinstance(piece, Piece) or (piece.batch, piece.subset) not in left:
                    raise ValueError(f"`measure` gives {piece!r}, which was not asked for")
                check_piece(piece, self._samples[piece.batch])
                left.remove((piece.batch, piece.subset))
                yield piece
            for batch, subset in left:
                raise ValueError(
                    f"`measure` gives {len(left)} pieces too few; one is that of batch {batch} and "
                    f"blocks {words(subset)}"
                )

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
