"""What runs in each process of the cluster: one copy of the model, measuring what it is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prunekit.core import (
    CheckpointError,
    Meter,
    ModelAdapter,
    ModelFacts,
    Piece,
    PluginError,
    PrefixMeter,
    Signal,
    Spec,
    Subset,
    Table,
)
from prunekit.hf import first_line, load_adapter


class Replica:
    """A Ray actor that measures as the local backend does.

    Every method gives a stream. `work`, a list of one reference to the objective and the batches,
    is fetched at its first use.
    """

    def __init__(self, spec: Spec, threads: int) -> None:
        """`threads` is how many the local backend would use: sums depend on it."""
        self.spec = spec
        self.threads = threads
        self._adapter: ModelAdapter | None = None
        self._meters: dict[Any, Meter] = {}

    def open(self) -> Iterator[tuple[str, ModelFacts]]:
        """Load the model, which proves itself; say the version of prunekit, and what was loaded."""
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
        """One piece for each subset, as soon as it is measured."""
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
