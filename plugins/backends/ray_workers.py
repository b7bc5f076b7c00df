"""Workers on a Ray cluster: start replicas of a model, and replace those that die."""

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
    PrunekitError,
    Signal,
    Spec,
    Subset,
    Table,
)
from prunekit.hf import PrefixMeter, first_line, load_adapter, memory_for_states
from prunekit.plugins.backends.ray_cluster import check_alive, lifelines

MAX_DEATHS = 3
SECONDS_BETWEEN_CHECKS = 5.0


class WorkerDied(Exception):
    """A worker's replica or its node died."""


@dataclass(eq=False)
class Worker:
    """A slot for one replica, which is replaced when it dies."""

    number: int
    replica: Any = None
    pending: Any = None
    """the stream in progress; None if it is idle"""
    opening: bool = False
    deaths: int = 0
    """replicas that died in a row without returning anything"""

    def ask(self, method: str, *arguments: Any) -> None:
        """Call a method of the replica that streams values."""
        stream = getattr(self.replica, method).options(num_returns="streaming")
        self.pending = stream.remote(*arguments)

    def receive(self) -> Any:
        """Return the next value; None at the end of the stream.

        Raises WorkerDied if the replica is gone, and any error that it raised.
        """
        import ray

        try:
            value = ray.get(next(self.pending))
        except StopIteration:
            self.pending = None
            return None
        except ray.exceptions.RayError as error:
            if not self.opening:  # an error ends the stream, and the replica is idle
                self.pending = None
            raise _meaning(error) from error
        if not self.opening:
            self.deaths = 0
        return value


class WorkerPool:
    """The workers of one model."""

    def __init__(self, spec: Spec, replicas: int, gpus: float) -> None:
        import torch

        self._spec, self._gpus, self._threads = spec, gpus, torch.get_num_threads()
        self._lifelines = lifelines()
        self._checked = time.monotonic()
        self._facts: ModelFacts | None = None
        self.workers = [Worker(number) for number in range(replicas)]

    def open(self) -> None:
        """Start all replicas and wait for the first; the others join when they are ready.

        Raises the error of a model that cannot be loaded.
        """
        self._fill()
        while self._facts is None:
            self.wait()

    @property
    def facts(self) -> ModelFacts:
        """Return the facts of the model, the same for every replica."""
        assert self._facts is not None
        return self._facts

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Restart missing replicas, and afterwards end those with unfinished work."""
        self._fill()
        try:
            yield
        finally:
            for worker in self.workers:
                if worker.pending is not None and not worker.opening:
                    self._end(worker)

    def idle(self) -> list[Worker]:
        """Return the workers that are ready for work."""
        return [w for w in self.workers if w.replica is not None and w.pending is None]

    def wait(self) -> Worker | None:
        """Wait for a worker with a value; return None if none has one yet.

        Raises PrunekitError if the cluster is gone, or if all replicas die repeatedly.
        """
        import ray

        if time.monotonic() - self._checked > SECONDS_BETWEEN_CHECKS:
            check_alive(self._lifelines)
            self._checked = time.monotonic()
        pending = {worker.pending: worker for worker in self.workers if worker.pending is not None}
        ready, _ = ray.wait(list(pending), timeout=SECONDS_BETWEEN_CHECKS)
        if not ready:
            return None
        worker = pending[ready[0]]
        self.workers.remove(worker)  # to the end, so that the others get their turn
        self.workers.append(worker)
        if not worker.opening:
            return worker
        self._open(worker)
        return None

    def replace(self, worker: Worker, reason: WorkerDied) -> None:
        """Replace a dead replica. Raises PrunekitError if all of them die repeatedly."""
        check_alive(self._lifelines)
        self._end(worker)
        worker.deaths += 1
        if worker.deaths == MAX_DEATHS:
            self.workers.remove(worker)
        if not self.workers:
            raise PrunekitError(
                f"the replicas on the Ray cluster die repeatedly ({reason}); what was "
                "measured is kept: run the same command again with fewer --ray.replicas, or, if "
                "memory is short, with a lower --tokens-per-forward"
            )
        self._fill()

    def close(self) -> None:
        """End all replicas."""
        for worker in self.workers:
            self._end(worker)
        self.workers = []

    def _fill(self) -> None:
        import ray

        # If no GPUs are named, Ray wants a free core to start a replica, and then sets none aside,
        # so that the replicas of a second model need not wait for those of the first.
        gpus = {"num_gpus": self._gpus} if self._gpus else {}
        for worker in self.workers:
            if worker.replica is None:
                remote: Any = ray.remote(Replica).options(scheduling_strategy="SPREAD", **gpus)
                worker.replica = remote.remote(self._spec, self._threads)
                worker.ask("open")
                worker.opening = True

    def _open(self, worker: Worker) -> None:
        """Compare a replica that has loaded the model with the first one."""
        try:
            opened = worker.receive()
        except WorkerDied as reason:
            self.replace(worker, reason)
            return
        if opened is None:
            worker.opening = False
            return
        installed, facts = opened
        self._facts = self._facts or facts
        _check_alike(
            {"prunekit": version("prunekit"), **self._facts.fingerprint},
            {"prunekit": installed, **facts.fingerprint},
        )

    def _end(self, worker: Worker) -> None:
        import ray

        if worker.replica is not None:
            with contextlib.suppress(ray.exceptions.RayError):  # dead already
                ray.kill(worker.replica)
        worker.replica, worker.pending, worker.opening = None, None, False


def _meaning(error: Exception) -> Exception:
    """Translate an error of Ray."""
    if isinstance(cause := getattr(error, "cause", None), Exception):
        return cause
    if getattr(error, "actor_init_failed", False):  # so far it only imports prunekit
        return ConfigError(
            f"a node of the Ray cluster cannot import prunekit ({str(error).splitlines()[-1]}); "
            f"install prunekit[ray] {version('prunekit')} on every node"
        )
    return WorkerDied(first_line(error))


def _check_alike(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise ConfigError if two replicas would measure different numbers."""
    different = sorted(name for name in expected if found.get(name) != expected[name])
    if different:
        details = "; ".join(f"{n}: {expected[n]} and {found.get(n)}" for n in different)
        raise ConfigError(
            f"the nodes of the Ray cluster differ ({details}), so their measurements would too; "
            "install the same versions on all, or choose --dtype if that is the difference"
        )


class Replica:
    """A Ray actor that measures like the local backend.

    Every method is a stream. `work`, a list of one reference to the objective and the batches, is
    fetched on first use.
    """

    def __init__(self, spec: Spec, threads: int) -> None:
        """Use as many `threads` as the local backend: sums depend on their number."""
        self.spec = spec
        self.threads = threads
        self._adapter: ModelAdapter | None = None
        self._meters: dict[Any, Meter] = {}

    def open(self) -> Iterator[tuple[str, ModelFacts]]:
        """Load the model; yield the version of prunekit and the facts."""
        if Path(self.spec.model).is_absolute() and not Path(self.spec.model).exists():
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
        """Yield the table of the signal."""
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
            memory = memory_for_states(self.spec)
            self._meters[reference] = PrefixMeter(self._adapter, objective, batches, memory)
        return self._meters[reference]
