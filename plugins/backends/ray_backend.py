"""Measure on a Ray cluster, with a replica of the model on each of its GPUs or nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from prunekit.core import Backend, Batch, ConfigError, Meter, Objective, Spec, hookimpl, option
from prunekit.plugins.backends.ray_cluster import CONNECTION, LOCAL, check_installed
from prunekit.plugins.backends.ray_meter import RayMeter
from prunekit.plugins.backends.ray_workers import WorkerPool


@dataclass(frozen=True)
class OnRay(Backend):
    """Measure with replicas of the model on a Ray cluster, or on the GPUs of this machine.

    Requests are split so that subsets with common prefixes stay together, and pieces are kept as
    they arrive. A replica that dies is replaced, and its unfinished work goes to another.
    """

    name: ClassVar[str] = "ray"
    replicas: int | None = option(
        None, "copies of the model; by default one per GPU or node", low=1
    )
    gpus: float | None = option(None, "GPUs for each; by default 1 if there are any", low=0)
    address: str = option(LOCAL, "local starts a cluster here; otherwise auto, or HOST:PORT")

    def __post_init__(self) -> None:
        check_installed()  # before data are read and models are loaded
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise ConfigError(
                f"ray.gpus: expected a share of one GPU or whole ones, got {self.gpus:g}",
                ("ray", "gpus"),
            )

    def open(self, spec: Spec, objective: Objective, batches: Sequence[Batch]) -> Meter:
        """Load the replicas, or share those of a meter that is still open."""
        key = (spec, spec.known.only_timed, self)
        shared = _SHARED.setdefault(key, _Shared(self))
        pool = shared.join(spec)
        try:
            return RayMeter(pool, objective, batches, shared.leave)
        except BaseException:
            shared.leave()
            raise


class _Shared:
    """The replicas of one model, for as long as some meter is open."""

    def __init__(self, options: OnRay) -> None:
        self._options = options
        self._pool: WorkerPool | None = None
        self._users = 0

    def join(self, spec: Spec) -> WorkerPool:
        if self._pool is None:
            CONNECTION.join(self._options.address)
            try:
                self._pool = _pool(spec, self._options)
            except BaseException:
                CONNECTION.leave()
                raise
        self._users += 1
        return self._pool

    def leave(self) -> None:
        self._users -= 1
        if not self._users and self._pool is not None:
            self._pool.close()
            self._pool = None
            CONNECTION.leave()


_SHARED: dict[tuple[Spec, bool, OnRay], _Shared] = {}


def _pool(spec: Spec, options: OnRay) -> WorkerPool:
    import ray

    nodes: Any = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    pool = WorkerPool(*share(spec, options, alive))
    try:
        pool.open()
    except BaseException:
        pool.close()
        raise
    return pool


def share(
    spec: Spec, options: OnRay, nodes: Sequence[Mapping[str, float]]
) -> tuple[Spec, int, float]:
    """Return the model with its device, the number of replicas, and the GPUs for each.

    `nodes` are the resources of each: `{"CPU": 8, "GPU": 2}`. Raises ConfigError if they
    do not suffice.
    """
    if spec.device.startswith("cuda:"):
        raise ConfigError(f"--device {spec.device}: Ray chooses the GPU; write --device cuda")
    there = [node.get("GPU", 0.0) for node in nodes]
    gpus = options.gpus
    if gpus is None:
        gpus = 1.0 if spec.device == "cuda" or (spec.device == "auto" and any(there)) else 0.0
    if not gpus:
        # A replica that was given no GPU may still see those of its node.
        device = "cpu" if spec.device == "auto" and any(there) else spec.device
        nodes_with_cpus = sum(node.get("CPU", 0.0) >= 1 for node in nodes)
        replicas = options.replicas or nodes_with_cpus
        return replace(spec, device=device, processes=replicas), replicas, 0.0
    room = sum(_room(on_node, gpus) for on_node in there)
    replicas = options.replicas or room
    if not 1 <= replicas <= room:
        raise ConfigError(
            f"the Ray cluster has {sum(there):g} GPUs: at {gpus:g} per replica, room for {room}, "
            f"not for {max(1, replicas)}; lower --ray.replicas or --ray.gpus, or use --device cpu"
        )
    device = "cuda" if spec.device == "auto" else spec.device
    return replace(spec, device=device, processes=int(1 / gpus) or 1), replicas, gpus


def _room(on_node: float, gpus: float) -> int:
    """Count the replicas that fit on a node; a fraction of a GPU cannot span two."""
    return int(on_node) * int(1 / gpus) if gpus < 1 else int(on_node // gpus)


@hookimpl
def prunekit_backends() -> list[type]:
    return [OnRay]
