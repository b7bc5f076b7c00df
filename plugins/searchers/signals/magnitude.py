"""How large the output of each block is beside the residual stream that it leaves."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from prunekit.core import Batch, ModelAdapter, Objective, Signal, Table
from prunekit.plugins.searchers.signals.boundaries import hidden_states


def relative_magnitude(
    adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]
) -> Table:
    """Return the mean over tokens of ||f(x)|| / ||x + f(x)|| for each block, `[1][blocks]`.

    x is the hidden state that enters a block and x + f(x) the one that leaves it; padding does not
    count. Two hidden states are alive at a time.
    """
    import torch

    totals, tokens = torch.zeros(adapter.facts.n_blocks, dtype=torch.float64), 0
    with torch.no_grad():
        for batch in batches:
            for index, (x, y) in enumerate(itertools.pairwise(hidden_states(adapter, batch))):
                entered, left = x.float(), y.float()
                ratios = (left - entered).norm(dim=-1) / left.norm(dim=-1)
                totals[index] += ratios.cpu().double().sum()
            tokens += int(batch.attention_mask.sum())
    return [(totals / tokens).tolist()]


def synthetic_magnitude(n_blocks: int) -> Table:
    """Return ratios of a made-up model, whose first and last blocks add most."""
    return [[1 / (1.5 + min(i, n_blocks - 1 - i)) for i in range(n_blocks)]]


RELATIVE_MAGNITUDE = Signal(
    "relative_magnitude", relative_magnitude, synthetic_magnitude, rows="one", columns="blocks"
)
