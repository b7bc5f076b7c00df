"""Derivatives of the loss with respect to a gate on each block.

The gate of a block multiplies what both of its sub-layers add to the residual stream, so at 0 it
removes the block (Jansen et al., arXiv 2602.00161). Blocks are run again on the way back, so that
only one block's activations are alive at a time.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunekit.core import (
    Batch,
    ConfigError,
    ModelAdapter,
    Objective,
    Signal,
    State,
    Table,
    blaming,
)

if TYPE_CHECKING:
    from torch import Tensor

SYNTHETIC_SAMPLES = 64


def gate_gradients(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Return the gradients of each sample's own loss with all gates at 1, `[samples][blocks]`."""
    import torch

    rows: list[list[float]] = []
    for batch in batches:
        gates = _gates(adapter, len(batch.sample))
        sums, weights = _measured(adapter, objective, batch, gates)
        grads = torch.autograd.grad((sums / weights).sum(), gates)
        of_rows = torch.stack(grads, 1).double().cpu()
        of_samples = torch.zeros(batch.n_samples, len(gates), dtype=torch.float64)
        rows += of_samples.index_add_(0, batch.sample, of_rows).tolist()
    return rows


def gate_hessian(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Return the second derivatives of the loss, `[blocks][blocks]`.

    One backward pass for the gradient and one through it for each block.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    n = adapter.facts.n_blocks
    total, weight = torch.zeros(n, n, dtype=torch.float64), 0.0
    for batch in batches:
        gates = _gates(adapter, 1)
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
            sums, weights = _measured(adapter, objective, batch, gates)
            gradient = torch.autograd.grad(sums.sum(), gates, create_graph=True)
            for index, slope in enumerate(gradient):
                row = torch.autograd.grad(slope, gates, retain_graph=True, allow_unused=True)
                total[index] += torch.stack([_number(x) for x in row])
        weight += float(weights.sum())
    table: list[list[float]] = ((total + total.T) / 2 / weight).tolist()
    return table


def taylor(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Return gradient x gate of the loss for all gates at 1, with its sign, `[1][blocks]`.

    To first order, closing the gate of a block lowers the loss by that much. The magnitude is taken
    by the searcher, so that a mix of objectives can add these up.
    """
    import torch

    total, weight = torch.zeros(adapter.facts.n_blocks, dtype=torch.float64), 0.0
    for batch in batches:
        gates = _gates(adapter, 1)
        sums, weights = _measured(adapter, objective, batch, gates)
        slopes = torch.autograd.grad(sums.sum(), gates)
        total += torch.stack([_number(slope) for slope in slopes])
        weight += float(weights.sum())
    return [(total / weight).tolist()]


def synthetic_gradients(n_blocks: int) -> Table:
    """Return gradients of a made-up model, whose first blocks matter most."""
    rng = random.Random(n_blocks)
    return [
        [rng.gauss(-1.0, 0.3) / (1 + i) for i in range(n_blocks)] for _ in range(SYNTHETIC_SAMPLES)
    ]


def synthetic_hessian(n_blocks: int) -> Table:
    """Return the mean outer product of the same gradients."""
    gradients, blocks = synthetic_gradients(n_blocks), range(n_blocks)
    return [[sum(g[i] * g[j] for g in gradients) / len(gradients) for j in blocks] for i in blocks]


def synthetic_taylor(n_blocks: int) -> Table:
    """Return the mean of the same gradients."""
    columns = zip(*synthetic_gradients(n_blocks), strict=True)
    return [[sum(column) / SYNTHETIC_SAMPLES for column in columns]]


GATE_GRADIENTS = Signal(
    "gate_gradients", gate_gradients, synthetic_gradients, rows="samples", derivative=True
)
GATE_HESSIAN = Signal("gate_hessian", gate_hessian, synthetic_hessian, derivative=True)
TAYLOR = Signal("taylor", taylor, synthetic_taylor, rows="one", derivative=True)


def _gates(adapter: ModelAdapter, rows: int) -> list[Tensor]:
    import torch

    return [torch.ones(rows, requires_grad=True) for _ in range(adapter.facts.n_blocks)]


def _measured(
    adapter: ModelAdapter, objective: Objective, batch: Batch, gates: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return sums and weights that depend on the gates. Raises ConfigError if they do not."""
    import torch

    output = adapter.output(_gated(adapter, batch, gates))
    with blaming("objective", objective, but=torch.OutOfMemoryError):
        sums, weights = objective.measure(output, batch)
    if not (sums.requires_grad and objective.differentiable):
        raise ConfigError(
            f"the objective {objective.name!r} cannot be differentiated, which this search needs; "
            "choose another objective, or a searcher that needs losses only"
        )
    return sums, weights


def _gated(adapter: ModelAdapter, batch: Batch, gates: list[Tensor]) -> State:
    from torch.utils.checkpoint import checkpoint

    state = adapter.enter(batch)
    for index, gate in enumerate(gates):
        state = checkpoint(adapter.gated_block, index, state, gate, use_reentrant=False)
    return state


def _number(x: Tensor | None) -> Tensor:
    import torch

    return torch.zeros((), dtype=torch.float64) if x is None else x.double().cpu().sum()
