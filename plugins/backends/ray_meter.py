"""Spread measurements over replicas of a model.

Subsets that agree on their first blocks share that part of the forward pass only if the same
replica measures them, one after the other. All subsets are therefore laid out in one line, batch by
batch and within a batch in the order of the walk, and the line is cut into stretches of equal work.
Batches share nothing, so a cut between two of them is free; one within a batch costs at most one
prefix.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from prunekit.core import (
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
from prunekit.plugins.backends.ray_fleet import Fleet, Lost, Seat


@dataclass
class Task:
    """A part that a replica has begun, and the subsets it has measured."""

    part: Part
    given: set[Subset] = field(default_factory=set)


class RayMeter(Meter):
    """Measure with all replicas at once; pieces come as soon as any of them has one.

    If a replica dies, another measures what it left unfinished; the pieces it gave are kept.
    """

    def __init__(
        self,
        fleet: Fleet,
        objective: Objective,
        batches: Sequence[Batch],
        on_close: Callable[[], None],
    ) -> None:
        """`on_close` is called once. Raises PluginError if the objective cannot be pickled."""
        import ray

        self._fleet = fleet
        self.facts = fleet.facts
        self.replicas = len(fleet.seats)
        try:
            self._work = [ray.put((objective, list(batches)))]
        except (TypeError, AttributeError) as error:
            raise PluginError(
                f"the objective {objective.name!r} cannot be sent to another process ({error}); "
                "use --backend local"
            ) from error
        self._closing = contextlib.ExitStack()
        self._closing.callback(on_close)

    def measure(self, wanted: Sequence[Sequence[Subset]]) -> Iterator[Piece]:
        """Yield one piece for each subset of each batch."""
        queue = Queue(cut(wanted, self.facts.n_blocks, self.replicas))
        begun: dict[Seat, Task] = {}
        with self._fleet.at_work():
            while queue or begun:
                for seat in self._fleet.idle()[: len(queue)]:
                    part = queue.take(seat.number)
                    seat.ask("measure", self._work, part.batch, part.subsets)
                    begun[seat] = Task(part)
                if seat_with_news := self._fleet.news():
                    yield from self._hear(seat_with_news, begun, queue)

    def _hear(self, seat: Seat, begun: dict[Seat, Task], queue: Queue) -> Iterator[Piece]:
        """Yield the piece of a replica, unless its part is finished or it died."""
        task = begun[seat]
        try:
            piece: Piece | None = seat.receive()
        except Lost as reason:
            del begun[seat]
            queue.put_back(task.part.without(task.given))
            self._fleet.lost(seat, reason)
            return
        if piece is None:
            del begun[seat]
            return
        task.given.add(piece.subset)
        yield piece

    def signal(self, signal: Signal) -> Table:
        """Compute a signal of the dense model on one replica."""
        tables: list[Sequence[Sequence[float]]] = []
        asked: Seat | None = None
        with self._fleet.at_work():
            while not tables or asked:
                if asked is None and (idle := self._fleet.idle()):
                    asked = idle[0]
                    asked.ask("signal", self._work, signal)
                if seat_with_news := self._fleet.news():
                    asked = self._collect(seat_with_news, tables)
        return tables[0]

    def _collect(self, seat: Seat, tables: list[Sequence[Sequence[float]]]) -> Seat | None:
        """Add the table of a replica; return None if it has no more."""
        try:
            table = seat.receive()
        except Lost as reason:
            self._fleet.lost(seat, reason)
            return None
        if table is None:
            return None
        tables.append(table)
        return seat

    def close(self) -> None:
        """Leave the replicas to others; the last to leave ends them."""
        self._closing.close()


@dataclass(frozen=True)
class Part:
    """Subsets to be measured on one batch by one replica."""

    batch: int
    subsets: tuple[Subset, ...]
    stretch: int
    """the stretch of the line it belongs to, best measured by one replica"""

    def without(self, done: Iterable[Subset]) -> Part:
        """Return the part without the subsets already measured."""
        left = tuple(s for s in self.subsets if s not in set(done))
        return Part(self.batch, left, self.stretch)


def cut(wanted: Sequence[Sequence[Subset]], n_blocks: int, stretches: int) -> list[Part]:
    """Cut the subsets wanted of each batch into parts, along `stretches` of equal work.

    Work is counted in block forwards; the head counts as one more.
    """
    line = [
        (batch, subset, runs + 1)
        for batch, subsets in enumerate(wanted)
        for subset, runs in runs_of_each(subsets, n_blocks).items()
    ]
    total, passed = sum(work for _, _, work in line), 0
    places: list[tuple[int, int, Subset]] = []
    for batch, subset, work in line:
        places.append((batch, (2 * passed + work) * stretches // (2 * total), subset))
        passed += work
    return [
        Part(batch, tuple(subset for *_, subset in group), stretch)
        for (batch, stretch), group in groupby(places, key=lambda place: place[:2])
    ]


class Queue:
    """Parts that wait for a replica."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = list(parts)

    def __len__(self) -> int:
        return len(self._parts)

    def put_back(self, part: Part) -> None:
        """Give back a part that a replica could not finish, to be taken first."""
        if part.subsets:
            self._parts.insert(0, part)

    def take(self, stretch: int) -> Part:
        """Take the next part of this stretch, or else the last of any other."""
        own = (i for i, part in enumerate(self._parts) if part.stretch == stretch)
        return self._parts.pop(next(own, -1))
