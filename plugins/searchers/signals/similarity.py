"""Mutual information between hidden states at the boundaries of blocks.

Hidden states of all tokens, each scaled to unit size, are projected to 64 dimensions by one fixed
random matrix; the information is that of Gaussians with their shrunk correlations. MI-PRUN
(arXiv 2601.07212) does not specify an estimator: this one is our reading.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunekit.core import Batch, ModelAdapter, Objective, Signal, Table
from prunekit.plugins.searchers.signals.boundaries import hidden_states

if TYPE_CHECKING:
    from torch import Tensor

PROJECTED = 64
SHRINKAGE = 1e-2
LARGEST_CORRELATION = 1 - 1e-4


def block_similarity(
    adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]
) -> Table:
    """Return mutual information in nats between boundaries a and b, `[blocks + 1][blocks + 1]`.

    Boundary i is the input of block i; the last one is the output of the last block.
    """
    import torch

    moments = _Moments()
    with torch.no_grad():
        for batch in batches:
            moments.add(_boundaries(adapter, batch))
    correlation = moments.correlation()
    n = adapter.facts.n_blocks + 1
    parts = correlation.reshape(n, PROJECTED, n, PROJECTED).transpose(1, 2)
    return [[_information(parts, a, b) for b in range(n)] for a in range(n)]


def synthetic_similarity(n_blocks: int) -> Table:
    """Return information that falls with the distance between boundaries."""
    boundaries = range(n_blocks + 1)
    return [[10 * math.exp(-abs(a - b) / 4) for b in boundaries] for a in boundaries]


BLOCK_SIMILARITY = Signal(
    "block_similarity", block_similarity, synthetic_similarity, "boundaries", "boundaries"
)


def _boundaries(adapter: ModelAdapter, batch: Batch) -> Tensor:
    """Return projected hidden states `[tokens, boundaries x 64]` of the dense model."""
    import torch

    return torch.cat([_project(tokens) for tokens in hidden_states(adapter, batch)], 1)


def _project(hidden: Tensor) -> Tensor:
    import torch

    tokens = hidden.float()
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
    """Return the information between two boundaries, from their canonical correlations."""
    import torch

    left, right = (_inverse_root(parts[i, i]) for i in (a, b))
    between = (1 - SHRINKAGE) * parts[a, b]
    correlations = torch.linalg.svdvals(left @ between @ right.T)
    squares = correlations.square().clamp_max(LARGEST_CORRELATION)
    return float(-0.5 * torch.log1p(-squares).sum())


def _inverse_root(correlation: Tensor) -> Tensor:
    """Return a matrix that whitens the shrunk correlations."""
    import torch

    unit = torch.eye(len(correlation), dtype=correlation.dtype)
    factor = torch.linalg.cholesky((1 - SHRINKAGE) * correlation + SHRINKAGE * unit)
    inverse: Tensor = torch.linalg.solve_triangular(factor, unit, upper=False)
    return inverse
