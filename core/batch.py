"""Calibration samples as a model runs them: in rows, or as trees of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

IGNORE = -100
"""In `targets`: nothing is predicted at this position."""
Sample: TypeAlias = "Mapping[str, Tensor]"
"""One calibration text or question: `input_ids` and `targets`, each `[rows, length]`, and any
tensors of one entry a row. `targets[r, t]` is the token to predict at position t, or IGNORE."""


@dataclass(frozen=True)
class Batch:
    """Samples padded on the right to one length; tensors are `[rows, length]` or `[rows]`."""

    input_ids: Tensor
    attention_mask: Tensor
    """0 at padding"""
    targets: Tensor
    sample: Tensor
    """`[rows]`: which sample of this batch each row belongs to"""
    n_samples: int
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    """the other tensors of the samples, and what `Objective.prepare` returned"""


@dataclass(frozen=True, kw_only=True)
class TreeBatch(Batch):
    """A batch of one row for each sample: the tree of the sample's rows.

    A node of a tree is a token, and each of the sample's rows is a path from the root. A row of the
    batch lists the nodes, parents before children, padded on the right. An adapter with
    `takes_trees` computes at every node what it would compute at this place of the path alone.
    """

    positions: Tensor
    """`[rows, length]`: how many tokens come before each node on its path"""
    visible: Tensor
    """`[rows, length, length]`, true at q, k if node k is q itself or comes before it on its path;
    padding sees itself alone"""
