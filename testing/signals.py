"""Signals that show whether a backend measures every batch, in order."""

from __future__ import annotations

from collections.abc import Iterable

from prunekit.core import Batch, ModelAdapter, Objective, Signal, Table


def sample_losses(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Return the dense model's loss on each sample, `[samples][1]`."""
    import torch

    rows: list[list[float]] = []
    with torch.no_grad():
        for batch in batches:
            state = adapter.enter(batch)
            for index in range(adapter.facts.n_blocks):
                state = adapter.block(index, state)
            sums, weights = objective.measure(adapter.output(state), batch)
            rows += [[value] for value in (sums / weights).tolist()]
    return rows


def synthetic_losses(n_blocks: int) -> Table:
    """Return one loss."""
    return [[1.0 + n_blocks]]


SIGNALS = (Signal("sample_losses", sample_losses, synthetic_losses, rows="samples", columns="one"),)
