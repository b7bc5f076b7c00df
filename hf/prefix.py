"""Measure pruned variants in this process, each common prefix of blocks once."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from prunekit.core.batch import Batch
from prunekit.core.contracts import complete, overrides
from prunekit.core.errors import OutOfMemory, blaming
from prunekit.core.interfaces import Meter, ModelAdapter, Objective, Signal, State, Table
from prunekit.core.kept_states import KeptStates
from prunekit.core.measurement import Piece, check_values
from prunekit.core.problem import DENSE, Subset
from prunekit.hf.buckets import Bucket, buckets_of
from prunekit.hf.guard import Guard

if TYPE_CHECKING:
    from torch import Tensor


Values: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Sums and weights, one of each a sample."""


class PrefixMeter(Meter):
    """Losses of pruned variants of one model, without building any of them.

    Batches are the outer loop and the trie of subsets the inner one. Memory holds the states of one
    batch at the open branches, and up to `state_memory` bytes of states that later requests can go
    on from. Samples of a batch that differ much in length are run apart, in buckets, and rows of
    one sample share their beginnings where objective and model allow it.
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
        self._prepared_buckets: dict[int, list[Bucket]] = {}
        with one_line_errors("model", adapter), adapter.bypassing(DENSE) as model:
            self._guard = Guard(model.parameters())
        self._memory_of_batch = state_memory // len(batches)
        self._kept: dict[int, KeptStates[list[State]]] = {}
        """of each batch"""

    @property
    def states_kept(self) -> int:
        """How many states of each batch are kept, of the batch with the fewest."""
        kept = (self._kept_of(i, self._buckets(i)) for i in range(len(self.batches)))
        return min(states.most for states in kept)

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """Yield one piece for each subset of each batch."""
        for number, subsets in enumerate(wanted):
            left = set(subsets)
            try:
                for piece in self._measure_batch(number, left) if left else ():
                    left -= {piece.subset}
                    yield piece
            except OutOfMemory:
                if not any(map(len, self._kept.values())):
                    raise
                self._keep_none()
                yield from self._measure_batch(number, left)

    def _keep_none(self) -> None:
        """Let the memory of kept states go to what cannot do without it."""
        self._memory_of_batch = 0
        self._kept.clear()

    def signal(self, signal: Signal) -> Table:
        """Measure a signal of the dense model."""
        batches = (self._prepared(number) for number in range(len(self.batches)))
        with one_line_errors("model", self.adapter):
            table = signal.measure(self.adapter, self.objective, batches)
        with blaming("signal", signal):
            self._guard.check_weights()
        return table

    def _measure_batch(self, number: int, subsets: Collection[Subset]) -> Iterator[Piece]:
        # Gradients are switched off step by step: a generator would leave them off while it waits.
        self._guard.check_others()
        buckets = self._buckets(number)
        kept = self._kept_of(number, buckets)
        for states, subset in kept.walk(
            subsets, self.facts.n_blocks, lambda: self._enter(buckets), self._run
        ):
            parts = [self._measured(*pair) for pair in zip(buckets, states, strict=True)]
            yield Piece(subset, number, *_joined(buckets, parts))
            self._guard.check_others()

    def _kept_of(self, number: int, buckets: Sequence[Bucket]) -> KeptStates[list[State]]:
        """Return the states of a batch; how many fit into its share is known once it entered."""
        if number not in self._kept:
            size = sum(map(self.adapter.state_bytes, self._enter(buckets)))
            self._kept[number] = KeptStates(self._memory_of_batch // size if size else 0)
        return self._kept[number]

    def _enter(self, buckets: Sequence[Bucket]) -> list[State]:
        with self._step("model", self.adapter):
            return [self.adapter.enter(bucket.entered) for bucket in buckets]

    def _measured(self, bucket: Bucket, state: State) -> Values:
        """Return sums and weights of the samples in a bucket."""
        with self._step("model", self.adapter):
            output = bucket.output(self.adapter.output(state))
            self._guard.check_weights()
        with self._step("objective", self.objective):
            sums, weights = self.objective.measure(output, bucket.batch)
            values = _numbers(sums), _numbers(weights)
            check_values(*values, bucket.batch.n_samples)
            self._guard.check_weights()
        return values

    def _buckets(self, number: int) -> list[Bucket]:
        """Return the buckets of a batch, with what the objective keeps of the dense model."""
        if number not in self._prepared_buckets:
            batch = self.batches[number]
            buckets = buckets_of(batch, self.objective.reads_targets_only and self._takes_trees)
            self._prepared_buckets[number] = [self._prepare(bucket) for bucket in buckets]
        return self._prepared_buckets[number]

    @cached_property
    def _takes_trees(self) -> bool:
        longest = max(batch.input_ids.shape[1] for batch in self.batches)
        with self._step("model", self.adapter):
            return self.adapter.takes_trees(longest)

    def _prepared(self, number: int) -> Batch:
        """Return the whole batch, with what the objective keeps of the dense model's output."""
        if number not in self._prepared_batches:
            whole = Bucket((), self.batches[number])
            self._prepared_batches[number] = self._prepare(whole).batch
        return self._prepared_batches[number]

    def _prepare(self, bucket: Bucket) -> Bucket:
        if not (overrides(self.objective, Objective.prepare) and self.objective.prepares()):
            return bucket
        with self._step("model", self.adapter):
            state = self.adapter.enter(bucket.entered)
            for index in range(self.facts.n_blocks):
                state = self.adapter.block(index, state)
            output = bucket.output(self.adapter.output(state))
            self._guard.check_weights()
        with self._step("objective", self.objective):
            extra = {**bucket.batch.extra, **self.objective.prepare(bucket.batch, output)}
            self._guard.check_weights()
        return replace(bucket, batch=replace(bucket.batch, extra=extra))

    def _run(self, index: int, states: list[State]) -> list[State]:
        with self._step("model", self.adapter):
            return [self.adapter.block(index, state) for state in states]

    @contextlib.contextmanager
    def _step(self, kind: str, plugin: object) -> Iterator[None]:
        """Run without gradients, and report errors and changes of torch's defaults in one line."""
        import torch

        with one_line_errors(kind, plugin), torch.no_grad(), self._guard.watching():
            yield


def _joined(buckets: Sequence[Bucket], parts: Sequence[Values]) -> Values:
    """Return sums and weights of all samples of a batch, in their order."""
    found = {
        sample: pair
        for bucket, values in zip(buckets, parts, strict=True)
        for sample, pair in zip(bucket.samples, zip(*values, strict=True), strict=True)
    }
    sums, weights = zip(*(found[sample] for sample in sorted(found)), strict=True)
    return sums, weights


def _numbers(values: Tensor) -> tuple[float, ...]:
    numbers = tuple(values.tolist())
    for number in numbers:
        if not isinstance(number, int | float):
            raise TypeError(f"`measure` must give numbers, not {number!r}")
    return numbers


@contextlib.contextmanager
def one_line_errors(kind: str, plugin: object) -> Iterator[None]:
    """Blame the plugin for its errors, but not for a lack of memory."""
    import torch

    try:
        with blaming(kind, plugin, but=torch.OutOfMemoryError):
            yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            "the device ran out of memory; what was measured is kept: run the same command with a "
            "lower --tokens-per-forward, with which a model in 16 bits is measured anew"
        ) from error
