"""Spread measurements over replicas of a model.

Subsets that agree on their first blocks share that part of the forward pass only if the same
replica measures them in a row. So all subsets are ordered, batch by batch and within a batch in the
order of the walk, and the sequence is cut into stretches of equal work. Batches share nothing, so a
cut between two of them is free; one within a batch costs at most one prefix.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from prunekit.core import (
    IGNORE,
    Batch,
    Meter,
    Objective,
    Piece,
    PluginError,
    Signal,
    Subset,
    Table,
    runs_of_each,
)
from prunekit.plugins.backends.ray_workers import Worker, WorkerDied, WorkerPool


@dataclass
class Task:
    """A part in progress, and the subsets measured so far."""

    part: Part
    measured: set[Subset] = field(default_factory=set)


class RayMeter(Meter):
    """Measure with all replicas at once, yielding pieces as they arrive.

    If a replica dies, another one finishes its work; the pieces it returned are kept.
    """

    def __init__(
        self,
        pool: WorkerPool,
        objective: Objective,
        batches: Sequence[Batch],
        on_close: Callable[[], None],
    ) -> None:
        """Put the work into Ray's store. Raises PluginError if it cannot be pickled."""
        import ray

        self._pool = pool
        self.facts = pool.facts
        self.replicas = len(pool.workers)
        try:
            self._work = [ray.put((objective, list(batches)))]
        except (TypeError, AttributeError) as error:
            raise PluginError(
                f"the objective {objective.name!r} cannot be sent to another process ({error}); "
                "use --backend local"
            ) from error
        self._heads = [self.facts.head_price * scored_share(batch) for batch in batches]
        self._closing = contextlib.ExitStack()
        self._closing.callback(on_close)

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """Yield one piece for each subset of each batch."""
        queue = Queue(cut(wanted, self.facts.n_blocks, self.replicas, self._heads))
        running: dict[Worker, Task] = {}
        with self._pool.at_work():
            while queue or running:
                for worker in self._pool.idle()[: len(queue)]:
                    part = queue.take(worker.number)
                    worker.ask("measure", self._work, part.batch, part.subsets)
                    running[worker] = Task(part)
                if ready := self._pool.wait():
                    yield from self._receive(ready, running, queue)

    def _receive(
        self, worker: Worker, running: dict[Worker, Task], queue: Queue
    ) -> Iterator[Piece]:
        """Yield the piece of a worker, unless its part is finished or it died."""
        task = running[worker]
        try:
            piece: Piece | None = worker.receive()
        except WorkerDied as reason:
            del running[worker]
            queue.put_back(task.part.without(task.measured))
            self._pool.replace(worker, reason)
            return
        if piece is None:
            del running[worker]
            return
        task.measured.add(piece.subset)
        yield piece

    def signal(self, signal: Signal) -> Table:
        """Compute a signal of the dense model on one replica."""
        tables: list[Sequence[Sequence[float]]] = []
        asked: Worker | None = None
        with self._pool.at_work():
            while not tables or asked:
                if asked is None and (idle := self._pool.idle()):
                    asked = idle[0]
                    asked.ask("signal", self._work, signal)
                if ready := self._pool.wait():
                    asked = self._collect(ready, tables)
        return tables[0]

    def _collect(self, worker: Worker, tables: list[Sequence[Sequence[float]]]) -> Worker | None:
        """Add the table of a worker; return None if it has no more."""
        try:
            table = worker.receive()
        except WorkerDied as reason:
            self._pool.replace(worker, reason)
            return None
        if table is None:
            return None
        tables.append(table)
        return worker

    def close(self) -> None:
        """Release the replicas; the last meter to do so ends them."""
        self._closing.close()


@dataclass(frozen=True)
class Part:
    """Subsets to measure on one batch, by one replica."""

    batch: int
    subsets: tuple[Subset, ...]
    stretch: int
    """the stretch of the sequence to which it belongs"""

    def without(self, done: Iterable[Subset]) -> Part:
        """Return the part without the subsets already measured."""
        left = tuple(s for s in self.subsets if s not in set(done))
        return Part(self.batch, left, self.stretch)


def scored_share(batch: Batch) -> float:
    """Return the share of positions with a target, which the head computes."""
    return float((batch.targets != IGNORE).float().mean())


def cut(
    wanted: Sequence[Sequence[Subset]], n_blocks: int, stretches: int, heads: Sequence[float]
) -> list[Part]:
    """Cut the subsets requested of each batch into parts, along `stretches` of equal work.

    Work is counted in block forwards; `heads` are the prices of a subset's head in each batch.
    """
    sequence = [
        (batch, subset, runs + heads[batch])
        for batch, subsets in enumerate(wanted)
        for subset, runs in runs_of_each(subsets, n_blocks).items()
    ]
    total, passed = sum(work for _, _, work in sequence), 0.0
    places: list[tuple[int, int, Subset]] = []
    for batch, subset, work in sequence:
        places.append((batch, int((passed + work / 2) * stretches / total), subset))
        passed += work
    return [
        Part(batch, tuple(subset for *_, subset in group), stretch)
        for (batch, stretch), group in groupby(places, key=lambda place: place[:2])
    ]


class Queue:
    """Parts waiting for a worker."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = list(parts)

    def __len__(self) -> int:
        return len(self._parts)

    def put_back(self, part: Part) -> None:
        """Return an unfinished part to the front of the queue."""
        if part.subsets:
            self._parts.insert(0, part)

    def take(self, stretch: int) -> Part:
        """Take the next part of this stretch, or the last of any other."""
        own = (i for i, part in enumerate(self._parts) if part.stretch == stretch)
        return self._parts.pop(next(own, -1))
