"""Return what the journal knows, measure the rest, and write it down as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from prunekit.core.batch import Batch
from prunekit.core.interfaces import Meter
from prunekit.core.measurement import Measurement, Piece
from prunekit.core.problem import WHOLE, Subset
from prunekit.core.trie import runs_of_each
from prunekit.engine.journal import Journal
from prunekit.engine.journal_line import Span, Values

SECONDS_BETWEEN_WRITES = 2.0


class MeasurementCache:
    """Everything measured of one model under one objective, and the meter that measures more."""

    def __init__(
        self,
        meter: Meter,
        batches: Sequence[Batch],
        journal: Journal,
        on_measured: Callable[[float], None] = lambda subsets: None,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_measured` is called after each piece with the number of subsets measured so far.

        A subset is measured batch by batch, so that is a sum of parts. `on_written` is called
        whenever the journal has grown.
        """
        self.meter = meter
        self.journal = journal
        self.measured = 0
        self.spans = _spans(batches)
        """which samples of the whole set are in each batch"""
        self._on_measured = on_measured
        self._on_written = on_written
        self._pieces = 0
        self._block_runs = 0
        self._complete: dict[Subset, Measurement] = {}
        self._pending: list[tuple[Subset, Span, Values]] = []

    @property
    def n_samples(self) -> int:
        """The size of the calibration set."""
        return self.spans[-1][1]

    @property
    def block_runs(self) -> int:
        """Blocks run so far, each over the whole calibration set.

        Counted for each piece that came, with the prefixes that a request has in common run once,
        so that it does not depend on the meter. A meter that splits a request among several
        workers runs a little more.
        """
        return round(self._block_runs / len(self.spans))

    def measure(self, subsets: Sequence[Subset], share: float = WHOLE) -> list[Measurement]:
        """Return a measurement for each subset, in their order; none is made twice.

        With a `share` below 1 it is of the first ceil(share x n) of n samples; whole batches are
        run all the same. The journal is read again first, as other processes may have measured
        meanwhile.
        """
        samples = math.ceil(share * self.n_samples)
        if any(s not in self._complete for s in subsets):
            self.journal.refresh()
        new = [s for s in dict.fromkeys(subsets) if not self._recall(s, samples)]
        if new:
            self._measure(sorted(new, key=sorted), samples)
        return [self._of_first(samples, s) for s in subsets]

    def _of_first(self, samples: int, subset: Subset) -> Measurement:
        if samples == self.n_samples:
            return self._complete[subset]
        parts = self.journal.recall(subset, samples)
        assert parts is not None  # it was recalled or measured before
        return join(parts).of(range(samples))

    def _recall(self, subset: Subset, samples: int) -> bool:
        """Return whether the first samples of the subset are known, in memory or on disk."""
        if subset in self._complete:
            return True
        parts = self.journal.recall(subset, samples)
        if parts is not None and samples == self.n_samples:
            self._complete[subset] = join(parts)
        return parts is not None

    def _measure(self, subsets: Sequence[Subset], samples: int) -> None:
        known = {s: set(self.journal.known.spans(s)) for s in subsets}
        wanted = [
            [s for s in subsets if span[0] < samples and span not in known[s]]
            for span in self.spans
        ]
        runs = [runs_of_each(new, self.meter.facts.n_blocks) for new in wanted]
        written = time.monotonic()
        try:
            for piece in self.meter.measure(wanted):
                self._pending.append(self._entry(piece))
                self._pieces += 1
                self._block_runs += runs[piece.batch][piece.subset]
                self._on_measured(self._pieces / len(self.spans))
                if time.monotonic() - written > SECONDS_BETWEEN_WRITES:
                    self._flush()
                    written = time.monotonic()
        finally:  # also what was measured before Ctrl-C
            self._flush()

    def _entry(self, piece: Piece) -> tuple[Subset, Span, Values]:
        sums = tuple(float(x) if math.isfinite(x) else math.inf for x in piece.sums)
        return piece.subset, self.spans[piece.batch], (sums, tuple(map(float, piece.weights)))

    def _flush(self) -> None:
        if self._pending:
            pieces, self._pending = self._pending, []
            self.journal.append(pieces)
            begun = {subset for subset, _, _ in pieces} - self._complete.keys()
            self.measured += sum(self._recall(subset, self.n_samples) for subset in begun)
            self._on_written()


def _spans(batches: Sequence[Batch]) -> list[Span]:
    spans, first = [], 0
    for batch in batches:
        spans.append((first, first + batch.n_samples))
        first += batch.n_samples
    return spans


def join(parts: Sequence[Values]) -> Measurement:
    """Join the values of consecutive spans."""
    sums = tuple(x for part, _ in parts for x in part)
    weights = tuple(x for _, part in parts for x in part)
    return Measurement(sums, weights)
