"""Rows with common beginnings as trees of tokens, in which each beginning is there once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core.interfaces import Batch

if TYPE_CHECKING:
    from torch import Tensor


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
