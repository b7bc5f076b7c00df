"""Measure pruned variants in this process, each common prefix of blocks once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from prunekit.core.blame import blaming
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Batch, ModelAdapter, Objective, State
from prunekit.core.measurement import Piece
from prunekit.core.problem import Subset
from prunekit.core.signals import Table, measure_signal
from prunekit.core.trie import walk


class PrefixMeter:
    """Losses of pruned variants of one model, without building any of them.

    Batches are the outer loop and the trie of subsets the inner one, so that memory holds the
    states of one batch at the open branches, not the calibration set.
    """

    def __init__(
        self, adapter: ModelAdapter, objective: Objective, batches: Sequence[Batch]
    ) -> None:
        self.adapter = adapter
        self.objective = objective
        self.batches = batches
        self.facts = adapter.facts
        self._runs = 0
        self._prepared_batches: dict[int, Batch] = {}

    @property
    def block_runs(self) -> int:
        """Blocks run so far, each over the whole calibration set."""
        return round(self._runs / len(self.batches))

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """One piece for each subset of each batch."""
        for number, subsets in enumerate(wanted):
            if subsets:
                with _enough_memory():
                    yield from self._measure_batch(number, subsets)

    def _measure_batch(self, number: int, subsets: Sequence[Subset]) -> Iterator[Piece]:
        # Gradients are switched off step by step: a generator would leave them off while it waits.
        import torch

        batch = self._prepared(number)
        with torch.no_grad():
            entered = self.adapter.enter(batch)
        for state, subset in walk(subsets, self.facts.n_blocks, entered, self._run):
            with torch.no_grad():
                output = self.adapter.output(state)
                with blaming("objective", self.objective), _enough_memory():
                    sums, weights = self.objective.measure(output, batch)
                    piece = Piece(subset, number, tuple(sums.tolist()), tuple(weights.tolist()))
            yield piece

    def _prepared(self, number: int) -> Batch:
        """The batch, with what the objective keeps of the dense model's output, if anything."""
        import torch

        prepare = getattr(self.objective, "prepare", None)
        if prepare and number not in self._prepared_batches:
            batch = self.batches[number]
            with torch.no_grad():
                state = self.adapter.enter(batch)
                for index in range(self.facts.n_blocks):
                    state = self.adapter.block(index, state)
                output = self.adapter.output(state)
                with blaming("objective", self.objective), _enough_memory():
                    kept = prepare(batch, output)
            self._prepared_batches[number] = replace(batch, extra={**batch.extra, **kept})
        return self._prepared_batches.get(number, self.batches[number])

    def _run(self, index: int, state: State) -> State:
        import torch

        self._runs += 1
        with torch.no_grad():
            return self.adapter.block(index, state)

    def signal(self, name: str) -> Table:
        """A signal of the dense model, one of `signals.SIGNALS`."""
        batches = (self._prepared(number) for number in range(len(self.batches)))
        return measure_signal(name, self.adapter, self.objective, batches)

    def close(self) -> None:
        """Nothing to free: the model goes with this object."""


@contextlib.contextmanager
def _enough_memory() -> Iterator[None]:
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the device ran out of memory; what was measured is kept: run the same command with a "
            "lower --tokens-per-forward"
        ) from error
