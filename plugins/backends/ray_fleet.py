"""The replicas of one model on a Ray cluster: started, watched, and replaced when they die."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prunekit.core import (
    CheckpointError,
    ConfigError,
    Meter,
    ModelAdapter,
    ModelFacts,
    Piece,
    PluginError,
    PrefixMeter,
    PrunekitError,
    Signal,
    Spec,
    Subset,
    Table,
)
from prunekit.hf import first_line, load_adapter
from prunekit.plugins.backends.ray_cluster import check_alive, lifelines

MOST_LOSSES = 3
SECONDS_BETWEEN_CHECKS = 5.0


class Lost(Exception):
    """A replica died, or its node did."""


@dataclass(eq=False)
class Seat:
    """The place of a replica, which another takes when it dies."""

    number: int
    replica: Any = None
    pending: Any = None
    """the stream it is asked for now; None if it waits for work"""
    opening: bool = False
    losses: int = 0
    """replicas that died here in a row without giving anything"""

    def ask(self, method: str, *arguments: Any) -> None:
        """Let the replica begin a stream of values."""
        stream = getattr(self.replica, method).options(num_returns="streaming")
        self.pending = stream.remote(*arguments)

    def receive(self) -> Any:
        """The next value, None at the end of the stream.

        Raises Lost if the replica is gone, and what the replica raised.
        """
        import ray

        try:
            value = ray.get(next(self.pending))
        except StopIteration:
            self.pending = None
            return None
        except ray.exceptions.RayError as error:
            if not self.opening:  # a failure ends a stream, and the replica waits for work
                self.pending = None
            raise _meaning(error) from error
        if not self.opening:
            self.losses = 0
        return value


class Fleet:
    """The replicas of one model."""

    def __init__(self, spec: Spec, replicas: int, gpus: float) -> None:
        """Nothing is started yet."""
        import torch

        self._spec, self._gpus, self._threads = spec, gpus, torch.get_num_threads()
        self._lifelines = lifelines()
        self._checked = time.monotonic()
        self._facts: ModelFacts | None = None
        self.seats = [Seat(number) for number in range(replicas)]

    def open(self) -> None:
        """Start all replicas and wait for the first; the others join in when they are ready.

        Raises the error of a model that cannot be loaded.
        """
        self._fill()
        while self._facts is None:
            self.news()

    @property
    def facts(self) -> ModelFacts:
        """The facts of the model, the same for every replica."""
        assert self._facts is not None
        return self._facts

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Replace replicas that were ended, and end those with unfinished work."""
        self._fill()
        try:
            yield
        finally:
            for seat in self.seats:
                if seat.pending is not None and not seat.opening:
                    self._end(seat)

    def idle(self) -> list[Seat]:
        """Return the seats that wait for work."""
        return [s for s in self.seats if s.replica is not None and s.pending is None]

    def news(self) -> Seat | None:
        """Wait for a replica with a value; None if none has one yet.

        Raises PrunekitError if the cluster is gone, or if every replica dies again and again.
        """
        import ray

        if time.monotonic() - self._checked > SECONDS_BETWEEN_CHECKS:
            check_alive(self._lifelines)
            self._checked = time.monotonic()
        pending = {seat.pending: seat for seat in self.seats if seat.pending is not None}
        ready, _ = ray.wait(list(pending), timeout=SECONDS_BETWEEN_CHECKS)
        if not ready:
            return None
        seat = pending[ready[0]]
        self.seats.remove(seat)  # to the end of the line, so that the others are heard too
        self.seats.append(seat)
        if not seat.opening:
            return seat
        self._open(seat)
        return None

    def lost(self, seat: Seat, reason: Lost) -> None:
        """Replace a replica that died; PrunekitError if all of them die repeatedly."""
        check_alive(self._lifelines)
        self._end(seat)
        seat.losses += 1
        if seat.losses == MOST_LOSSES:
            self.seats.remove(seat)
        if not self.seats:
            raise PrunekitError(
                f"the replicas on the Ray cluster die again and again ({reason}); what was "
                "measured is kept: run the same command again with fewer --ray.replicas, or, if "
                "memory is short, with a lower --tokens-per-forward"
            )
        self._fill()

    def close(self) -> None:
        """End all replicas."""
        for seat in self.seats:
            self._end(seat)
        self.seats = []

    def _fill(self) -> None:
        import ray

        # If no GPUs are named, Ray wants a free core to start a replica, and then sets none aside,
        # so that the replicas of a second model need not wait for those of the first.
        gpus = {"num_gpus": self._gpus} if self._gpus else {}
        for seat in self.seats:
            if seat.replica is None:
                remote: Any = ray.remote(Replica).options(scheduling_strategy="SPREAD", **gpus)
                seat.replica = remote.remote(self._spec, self._threads)
                seat.ask("open")
                seat.opening = True

    def _open(self, seat: Seat) -> None:
        """Check a replica that has loaded the model against the first."""
        try:
            opened = seat.receive()
        except Lost as reason:
            self.lost(seat, reason)
            return
        if opened is None:
            seat.opening = False
            return
        installed, facts = opened
        self._facts = self._facts or facts
        _check_alike(
            {"prunekit": version("prunekit"), **self._facts.fingerprint},
            {"prunekit": installed, **facts.fingerprint},
        )

    def _end(self, seat: Seat) -> None:
        import ray

        if seat.replica is not None:
            with contextlib.suppress(ray.exceptions.RayError):  # dead already
                ray.kill(seat.replica)
        seat.replica, seat.pending, seat.opening = None, None, False


def _meaning(error: Exception) -> Exception:
    """Translate an error of Ray to what it means for the replica."""
    if isinstance(cause := getattr(error, "cause", None), Exception):
        return cause
    if getattr(error, "actor_init_failed", False):  # it does nothing yet but import prunekit
        return ConfigError(
            f"a node of the Ray cluster cannot import prunekit ({str(error).splitlines()[-1]}); "
            f"install prunekit[ray] {version('prunekit')} on every node"
        )
    return Lost(first_line(error))


def _check_alike(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise ConfigError if replicas would measure something else."""
    different = sorted(name for name in expected if found.get(name) != expected[name])
    if different:
        details = "; ".join(f"{n}: {expected[n]} and {found.get(n)}" for n in different)
        raise ConfigError(
            f"the nodes of the Ray cluster differ ({details}), and so would what they measure; "
            "install the same versions on all, or choose --dtype where that is what differs"
        )


class Replica:
    """A Ray actor that measures as the local backend does.

    Every method gives a stream. `work`, a list of one reference to the objective and the batches,
    is fetched at its first use.
    """

    def __init__(self, spec: Spec, threads: int) -> None:
        """`threads` is the number the local backend would use: sums depend on it."""
        self.spec = spec
        self.threads = threads
        self._adapter: ModelAdapter | None = None
        self._meters: dict[Any, Meter] = {}

    def open(self) -> Iterator[tuple[str, ModelFacts]]:
        """Load and prove the model; yield the version of prunekit and the facts."""
        if Path(self.spec.model).is_absolute() and not Path(self.spec.model).is_dir():
            raise CheckpointError(
                f"{self.spec.model}: no such folder on {socket.gethostname()}, a node of the Ray "
                "cluster; a model in a folder must be under the same path on every node"
            )
        import torch

        torch.set_num_threads(self.threads)
        self._adapter = load_adapter(self.spec)
        yield version("prunekit"), self._adapter.facts

    def measure(self, work: list[Any], batch: int, subsets: Sequence[Subset]) -> Iterator[Piece]:
        """Yield one piece for each subset, as soon as it is measured."""
        wanted: list[Sequence[Subset]] = [()] * batch
        yield from self._meter(work).measure([*wanted, subsets])

    def signal(self, work: list[Any], signal: Signal) -> Iterator[Table]:
        """Yield the table of the signal, alone."""
        yield self._meter(work).signal(signal)

    def _meter(self, work: list[Any]) -> Meter:
        (reference,) = work
        if reference not in self._meters:
            import ray

            assert self._adapter is not None
            try:
                objective, batches = ray.get(reference)
            except Exception as error:
                reason = f"{type(error).__name__}: {first_line(error)}"
                raise PluginError(
                    f"the objective cannot be read on {socket.gethostname()}, a node of the Ray "
                    f"cluster ({reason}); install the same plugins on every node"
                ) from error
            self._meters[reference] = PrefixMeter(self._adapter, objective, batches)
        return self._meters[reference]
