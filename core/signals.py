"""What a searcher may know of a model besides losses.

Each signal is computed once per model, objective and calibration set, streamed over batches so that
memory does not grow with them, and handed to searchers as plain numbers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from prunekit.core.blame import blaming
from prunekit.core.errors import ConfigError, PluginError
from prunekit.core.interfaces import Batch, ModelAdapter, Objective, Searcher, State
from prunekit.core.options import suggest

if TYPE_CHECKING:
    from torch import Tensor

Table: TypeAlias = tuple[tuple[float, ...], ...]
"""Rows of numbers."""

SIGNALS = {
    "gate_gradients": "samples x blocks: how each sample's loss changes with a gate on each block",
    "gate_hessian": "blocks x blocks: second derivatives of the loss with respect to those gates",
    "block_similarity": "boundaries x boundaries: mutual information between hidden states",
}
PROJECTED = 64
SHRINKAGE = 1e-2
LARGEST_CORRELATION = 1 - 1e-4


def needs_of(searcher: Searcher) -> tuple[str, ...]:
    """The signals that a searcher needs; PluginError where one of them does not exist."""
    with blaming("searcher", searcher):
        needs = getattr(searcher, "needs", ())
        if isinstance(needs, str):
            raise TypeError(f"`needs` is a tuple of names, {(needs,)}, not {needs!r}")
        names = tuple(needs)
    for name in names:
        if name not in SIGNALS:
            raise PluginError(
                f"searcher {searcher.name!r} needs the signal {name!r}.{suggest(name, SIGNALS)}"
            )
    return names


def measure_signal(
    name: str, adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]
) -> Table:
    """The signal of that name, one of SIGNALS."""
    if name == "gate_gradients":
        return gate_gradients(adapter, objective, batches)
    if name == "gate_hessian":
        return gate_hessian(adapter, objective, batches)
    return block_similarity(adapter, batches)


def check_mixed(needs: Iterable[str]) -> None:
    """ConfigError where one of the signals cannot be had of a mix of objectives."""
    if "gate_gradients" in needs:
        raise ConfigError(
            "a mix of objectives has no gradients for each sample; choose one objective, or a "
            "searcher that does not need them (for cbo: --cbo.hessian pairwise)"
        )


def check_differentiable(objective: Objective, needs: Iterable[str]) -> None:
    """ConfigError where one of the signals is a derivative, and the objective only counts."""
    if {"gate_gradients", "gate_hessian"} & set(needs):
        _require(getattr(objective, "differentiable", True), objective)


def gate_gradients(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Gradients of each sample's own loss with respect to gates at 1, `[samples][blocks]`.

    The gate of a block multiplies what both of its sub-layers add to the residual stream, so at 0
    it removes the block (Jansen et al., arXiv 2602.00161). Blocks are run again on the way back,
    so that only one block's activations are alive at a time.
    """
    import torch

    rows: list[tuple[float, ...]] = []
    for batch in batches:
        gates = _gates(adapter, len(batch.sample))
        sums, weights = _measured(adapter, objective, batch, gates)
        grads = torch.autograd.grad((sums / weights).sum(), gates)
        of_rows = torch.stack(grads, 1).double().cpu()
        of_samples = torch.zeros(batch.n_samples, len(gates), dtype=torch.float64)
        rows += _plain(of_samples.index_add_(0, batch.sample, of_rows))
    return tuple(rows)


def gate_hessian(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Second derivatives of the loss with respect to the same gates, `[blocks][blocks]`.

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
    return tuple(_plain((total + total.T) / 2 / weight))


def block_similarity(adapter: ModelAdapter, batches: Iterable[Batch]) -> Table:
    """Mutual information in nats between what enters block a and what enters block b.

    The last boundary is what leaves the last block. Hidden states of all tokens, each scaled to
    unit size, are projected to 64 dimensions by one fixed random matrix; what is told is that of
    Gaussians with their shrunk correlations. MI-PRUN (arXiv 2601.07212) names no estimator: this
    one is our reading.
    """
    import torch

    moments = _Moments()
    with torch.no_grad():
        for batch in batches:
            moments.add(_boundaries(adapter, batch))
    correlation = moments.correlation()
    n = adapter.facts.n_blocks + 1
    parts = correlation.reshape(n, PROJECTED, n, PROJECTED).transpose(1, 2)
    return tuple(tuple(_information(parts, a, b) for b in range(n)) for a in range(n))


def made_up_signals(names: Iterable[str], n_blocks: int) -> Mapping[str, Table]:
    """Signals of no model, for rehearsals and tests."""
    rng = random.Random(n_blocks)
    gradients = [[rng.gauss(-1.0, 0.3) / (1 + i) for i in range(n_blocks)] for _ in range(64)]
    pairs = [
        [sum(g[i] * g[j] for g in gradients) / 64 for j in range(n_blocks)] for i in range(n_blocks)
    ]
    near = [
        [10 * math.exp(-abs(a - b) / 4) for b in range(n_blocks + 1)] for a in range(n_blocks + 1)
    ]
    tables = {"gate_gradients": gradients, "gate_hessian": pairs, "block_similarity": near}
    return {name: tuple(map(tuple, tables[name])) for name in names}


def _gates(adapter: ModelAdapter, rows: int) -> list[Tensor]:
    import torch

    return [torch.ones(rows, requires_grad=True) for _ in range(adapter.facts.n_blocks)]


def _measured(
    adapter: ModelAdapter, objective: Objective, batch: Batch, gates: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Sums and weights that depend on the gates; ConfigError where the objective only counts."""
    import torch

    output = adapter.output(_gated(adapter, batch, gates))
    with blaming("objective", objective, but=torch.OutOfMemoryError):
        sums, weights = objective.measure(output, batch)
    _require(sums.requires_grad and getattr(objective, "differentiable", True), objective)
    return sums, weights


def _require(is_differentiable: bool, objective: Objective) -> None:
    if not is_differentiable:
        raise ConfigError(
            f"the objective {objective.name!r} cannot be differentiated, which this search needs; "
            "choose another objective, or a searcher that needs losses only"
        )


def _gated(adapter: ModelAdapter, batch: Batch, gates: list[Tensor]) -> State:
    from torch.utils.checkpoint import checkpoint

    state = adapter.enter(batch)
    for index, gate in enumerate(gates):
        state = checkpoint(adapter.gated_block, index, state, gate, use_reentrant=False)
    return state


def _number(x: Tensor | None) -> Tensor:
    import torch

    return torch.zeros((), dtype=torch.float64) if x is None else x.double().cpu().sum()


def _boundaries(adapter: ModelAdapter, batch: Batch) -> Tensor:
    """Projected hidden states `[tokens, boundaries x 64]` of the dense model."""
    import torch

    where = batch.attention_mask.bool()
    state = adapter.enter(batch)
    found = [_project(adapter.hidden(state), where)]
    for index in range(adapter.facts.n_blocks):
        state = adapter.block(index, state)
        found.append(_project(adapter.hidden(state), where))
    return torch.cat(found, 1)


def _project(hidden: Tensor, where: Tensor) -> Tensor:
    import torch

    tokens = hidden[where.to(hidden.device)].float()
    tokens = tokens * tokens.square().mean(-1, keepdim=True).add(1e-6).rsqrt()
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(tokens.shape[1], PROJECTED, generator=generator)
    projected: Tensor = tokens @ matrix.to(tokens.device) / tokens.shape[1] ** 0.5
    return projected


class _Moments:
    """Running first and second moments of rows."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: Tensor | float = 0.0
        self.products: Tensor | float = 0.0

    def add(self, rows: Tensor) -> None:
        self.count += len(rows)
        self.sum = self.sum + rows.sum(0).double().cpu()
        self.products = self.products + (rows.T @ rows).double().cpu()

    def correlation(self) -> Tensor:
        import torch

        mean = torch.as_tensor(self.sum) / self.count
        covariance = torch.as_tensor(self.products) / self.count - torch.outer(mean, mean)
        deviation = covariance.diagonal().clamp_min(1e-12).sqrt()
        return covariance / torch.outer(deviation, deviation)


def _information(parts: Tensor, a: int, b: int) -> float:
    """That of two boundaries, from their canonical correlations."""
    import torch

    left, right = (_inverse_root(parts[i, i]) for i in (a, b))
    between = (1 - SHRINKAGE) * parts[a, b]
    correlations = torch.linalg.svdvals(left @ between @ right.T)
    squares = correlations.square().clamp_max(LARGEST_CORRELATION)
    return float(-0.5 * torch.log1p(-squares).sum())


def _inverse_root(correlation: Tensor) -> Tensor:
    """A matrix that turns shrunk correlations into the identity."""
    import torch

    unit = torch.eye(len(correlation), dtype=correlation.dtype)
    factor = torch.linalg.cholesky((1 - SHRINKAGE) * correlation + SHRINKAGE * unit)
    inverse: Tensor = torch.linalg.solve_triangular(factor, unit, upper=False)
    return inverse


def _plain(table: Tensor) -> list[tuple[float, ...]]:
    return [tuple(row) for row in table.tolist()]
