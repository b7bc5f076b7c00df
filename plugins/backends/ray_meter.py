"""Spread measurements over replicas of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from prunekit.core import Batch, Meter, Objective, Piece, PluginError, Signal, Subset, Table
from prunekit.plugins.backends.parts import Part, Queue, cut
from prunekit.plugins.backends.ray_fleet import Fleet, Lost, Seat


@dataclass
class Task:
    """A part that a replica has begun, and the subsets whose pieces it has given."""

    part: Part
    given: set[Subset] = field(default_factory=set)


class RayMeter(Meter):
    """Measures with all replicas at once; pieces come as soon as any of them has one.

    What a replica had begun when it died is measured by another; what it had given stands.
    """

    def __init__(
        self,
        fleet: Fleet,
        objective: Objective,
        batches: Sequence[Batch],
        on_close: Callable[[], None],
    ) -> None:
        """`on_close` is called once. PluginError where the objective cannot travel."""
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
        """One piece for each subset of each batch."""
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
        """The piece that a replica has, if its part is not done and it is not dead."""
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
        """A signal of the dense model, computed by one replica."""
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
        """Add what a replica has; None where it has no more."""
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
