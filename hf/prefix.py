"""Measure pruned variants in this process, each common prefix of blocks once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from prunekit.core.contracts import complete, overrides
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Batch, Meter, ModelAdapter, Objective, Signal, State, Table
from prunekit.core.kept_states import KeptStates
from prunekit.core.measurement import Piece, check_piece
from prunekit.core.problem import DENSE, Subset
from prunekit.hf.guard import Guard

if TYPE_CHECKING:
    from torch import Tensor


class PrefixMeter(Meter):
    """Losses of pruned variants of one model, without building any of them.

    Batches are the outer loop and the trie of subsets the inner one. Memory holds the states of one
    batch at the open branches, and up to `state_memory` bytes of states that later requests can go
    on from.
    """

    adapter: ModelAdapter

    def __init__(
        self,
        adapter: ModelAdapter,
        objective: Objective,
        batches: Sequence[Batch],
        state_memory: int = 0,
    ) -> None:
        complete(type(objective), Objective)
        self.adapter = adapter
        self.objective = objective
        self.batches = batches
        self.facts = adapter.facts
        self._prepared_batches: dict[int, Batch] = {}
        with _one_line("model", adapter), adapter.bypassing(DENSE) as model:
            self._guard = Guard(model.parameters())
        self._memory_of_batch = state_memory // len(batches)
        self._kept: dict[int, KeptStates[State]] = {}
        """of each batch"""

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """Yield one piece for each subset of each batch."""
        for number, subsets in enumerate(wanted):
            if subsets:
                yield from self._measure_batch(number, subsets)

    def signal(self, signal: Signal) -> Table:
        """Measure a signal of the dense model."""
        batches = (self._prepared(number) for number in range(len(self.batches)))
        with _one_line("model", self.adapter):
            table = signal.measure(self.adapter, self.objective, batches)
        with blaming("signal", signal):
            self._guard.check_weights()
        return table

    def _measure_batch(self, number: int, subsets: Sequence[Subset]) -> Iterator[Piece]:
        # Gradients are switched off step by step: a generator would leave them off while it waits.
        self._guard.check_others()
        batch = self._prepared(number)
        kept = self._kept_of(number, batch)
        for state, subset in kept.walk(
            subsets, self.facts.n_blocks, lambda: self._enter(batch), self._run
        ):
            with self._step("model", self.adapter):
                output = self.adapter.output(state)
                self._guard.check_weights()
            with self._step("objective", self.objective):
                sums, weights = self.objective.measure(output, batch)
                piece = Piece(subset, number, _numbers(sums), _numbers(weights))
                check_piece(piece, batch.n_samples)
                self._guard.check_weights()
            yield piece
            self._guard.check_others()

    def _prepared(self, number: int) -> Batch:
        """Return the batch, with what the objective keeps of the dense model's output."""
        prepares = overrides(self.objective, Objective.prepare) and self.objective.prepares()
        if prepares and number not in self._prepared_batches:
            batch = self.batches[number]
            with self._step("model", self.adapter):
                state = self.adapter.enter(batch)
                for index in range(self.facts.n_blocks):
                    state = self.adapter.block(index, state)
                output = self.adapter.output(state)
                self._guard.check_weights()
            with self._step("objective", self.objective):
                extra = {**batch.extra, **self.objective.prepare(batch, output)}
                self._guard.check_weights()
            self._prepared_batches[number] = replace(batch, extra=extra)
        return self._prepared_batches.get(number, self.batches[number])

    def _kept_of(self, number: int, batch: Batch) -> KeptStates[State]:
        """Return the states of a batch; how many fit into its share is known once it entered."""
        if number not in self._kept:
            with self._step("model", self.adapter):
                size = self.adapter.state_bytes(self.adapter.enter(batch))
            self._kept[number] = KeptStates(self._memory_of_batch // size if size else 0)
        return self._kept[number]

    def _enter(self, batch: Batch) -> State:
        with self._step("model", self.adapter):
            return self.adapter.enter(batch)

    def _run(self, index: int, state: State) -> State:
        with self._step("model", self.adapter):
            return self.adapter.block(index, state)

    @contextlib.contextmanager
    def _step(self, kind: str, plugin: object) -> Iterator[None]:
        """Run without gradients, and report errors and changes of torch's defaults in one line."""
        import torch

        with _one_line(kind, plugin), torch.no_grad(), self._guard.watching():
            yield


def _numbers(values: Tensor) -> tuple[float, ...]:
    numbers = tuple(values.tolist())
    for number in numbers:
        if not isinstance(number, int | float):
            raise TypeError(f"`measure` must give numbers, not {number!r}")
    return numbers


@contextlib.contextmanager
def _one_line(kind: str, plugin: object) -> Iterator[None]:
    """Blame the plugin for its errors, but not for a lack of memory."""
    import torch

    try:
        with blaming(kind, plugin, but=torch.OutOfMemoryError):
            yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the device ran out of memory; what was measured is kept: run the same command with a "
            "lower --tokens-per-forward, with which a model in 16 bits is measured anew"
        ) from error
