"""Repairs: what makes up for removed blocks, and folds into the weights that stay."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:  # plugins are listed without importing torch
    from torch import Tensor


@dataclass(frozen=True)
class Patch:
    """What happens to the residual stream at a cut: `scale * stream + fed @ matrix`.

    `fed` is what the feed-forward layer of the last block before the cut added to the stream. Both
    parts fold into weights that stay, so that a patch adds no parameter to a checkpoint.
    """

    scale: float = 1.0
    """positive"""
    matrix: Tensor | None = None
    """`[width, width]`; None stands for zeros"""

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return self.scale != 1 or self.matrix is not None


@dataclass(frozen=True)
class Cut:
    """Tokens at a cut, where adjacent blocks are removed; float32, `[tokens, width]`."""

    before: Tensor
    """the stream that leaves the last block before the cut"""
    fed: Tensor
    """what the feed-forward layer of this block added to it"""
    after: Tensor
    """the stream of the dense model that enters the first block after the cut"""


class Repair(abc.ABC):
    """Makes patches for cuts, from what the dense model does there."""

    name: ClassVar[str]
    paper: ClassVar[str | None] = None

    @abc.abstractmethod
    def patches(self, cut: Cut) -> Iterator[Patch]:
        """Yield patches of different strengths, among them `Patch()` if none may be best.

        The one is taken whose stream is nearest to that of the dense model on other tokens,
        weighted as by `prunekit.hf.token_weights`.
        """

    def tokens_needed(self, width: int) -> int:
        """Return how many tokens it needs at least for a stream of this width."""
        return 1


class Mending(Protocol):
    """A repair on its way to where a model is loaded: picklable, and equal if it mends alike."""

    def mend(self, adapter: Any, checkpoint: Any) -> Any:
        """Return the adapter with repaired cuts. Raises UnfitModel if its model cannot hold them.

        `checkpoint` is the `prunekit.hf.Checkpoint` that the adapter was loaded from.
        """
