"""Repairs: what makes up for removed blocks, and folds into the weights that stay."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:  # plugins are listed without importing torch
    from torch import Tensor


LEAST_SCALE = 0.5
"""With a smaller stream, the epsilon of norms would show, and the fold would not be exact."""


@dataclass(frozen=True)
class Patch:
    """What happens to the residual stream at a cut: `scale * stream + fed @ matrix`.

    `fed` is what the feed-forward layer of the last block before the cut added to the stream. Both
    parts fold into weights that stay, so that a patch adds no parameter to a checkpoint.
    """

    scale: float = 1.0
    """at least `LEAST_SCALE`"""
    matrix: Tensor | None = None
    """`[width, width]`; None means zeros"""

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


def check_patches(patches: Iterable[Any], width: int) -> list[Patch]:
    """Return what a repair yields. Raises TypeError or ValueError unless all of it fits a stream.

    >>> check_patches([Patch(2.0), Patch()], 96)
    [Patch(scale=2.0, matrix=None), Patch(scale=1.0, matrix=None)]
    """
    found = list(patches)
    if not found:
        raise ValueError("`patches` must give at least one; `Patch()` changes nothing")
    for patch in found:
        _check_patch(patch, width)
    return found


def _check_patch(patch: Any, width: int) -> None:
    if not isinstance(patch, Patch):
        raise TypeError(f"`patches` must give objects of Patch, not {type(patch).__name__}")
    if not (isinstance(patch.scale, int | float) and LEAST_SCALE <= patch.scale < math.inf):
        raise ValueError(f"`patches` must give scales from {LEAST_SCALE} on, not {patch.scale!r}")
    if patch.matrix is not None:
        _check_matrix(patch.matrix, width)


def _check_matrix(matrix: Any, width: int) -> None:
    if not hasattr(matrix, "is_floating_point") or not matrix.is_floating_point():
        raise TypeError("`patches` must give matrices as tensors of floating-point numbers")
    if tuple(matrix.shape) != (width, width):
        raise ValueError(
            f"`patches` must give matrices of [{width}, {width}], not {list(matrix.shape)}"
        )
    if not matrix.isfinite().all():
        raise ValueError("`patches` must give matrices of finite numbers")


class Repairing(Protocol):
    """A repair on its way to where a model is loaded: picklable, equal if patches are the same."""

    def applied(self, adapter: Any, checkpoint: Any, at_once: int) -> Any:
        """Return the adapter with repaired cuts. Raises UnfitModel if its model cannot hold them.

        `checkpoint` is the `prunekit.hf.Checkpoint` that the adapter was loaded from, `at_once` the
        most tokens of a forward.
        """
