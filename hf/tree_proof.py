"""The proof before first use: at the nodes of a tree a model computes what it does in plain rows.

Trees need a model that takes positions, and a mask of which token sees which, as they are given.
Models with sliding or chunked windows, with biases by distance (ALiBi), with recurrent blocks or
with kernels that know no such mask ignore or refuse them, some of them beyond a length only. So all
blocks are run on two rows as long as the longest to be measured, and on their tree, in float32:
rounding in 16 bits is as large as some of these faults.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from prunekit.core.batch import Batch
from prunekit.hf.proof import probe
from prunekit.hf.replay import Blocks, Call, hidden_in
from prunekit.hf.trees import Forest, trees_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

PLACES = 8
"""Places compared after the fork, next to what they must not see, and at the end of each row, which
sees most and farthest."""
LARGEST_ERROR = 1e-4
"""Of a hidden state at a place, relative to its norm. Rounding in float32 leads to some 1e-6, the
smallest fault that was found in a family to 1e-2."""


class Entered(Protocol):
    """What enters block 0, and the other arguments of every block."""

    @property
    def hidden(self) -> Tensor:
        """The hidden state."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """The other arguments of each block."""


def proves_trees(
    blocks: Blocks,
    config: PretrainedConfig,
    enter: Callable[[Batch], Entered],
    tokens_of: Callable[[Tensor], Tensor],
    length: int,
) -> bool:
    """Return whether the blocks compute trees of rows up to this length as they do the rows.

    `enter` is the adapter's; `tokens_of` maps a hidden state to `[rows, length, width]`.
    """
    import torch

    batch = forked(length, config)
    forest = Forest.of(trees_of(batch), batch.input_ids.shape[1])
    where = _compared(batch)
    with torch.no_grad():
        expected = tokens_of(_through(blocks, enter(batch)))[where]
        try:
            found = tokens_of(_through(blocks, enter(forest.batch))).flatten(0, 1)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # models that know no such mask or position raise whatever they like
            return False
    return error(found[forest.nodes[where]], expected) <= LARGEST_ERROR


def error(found: Tensor, expected: Tensor) -> float:
    """Return the largest relative error of a place; infinity if any is not a number."""
    errors = (found - expected).norm(dim=-1) / expected.norm(dim=-1)
    return float(errors.nan_to_num(float("inf")).max())


def forked(length: int, config: PretrainedConfig) -> Batch:
    """Return two rows that agree in their first half; in the tree the second is far behind."""
    batch = probe(length, length, config=config)
    ids = batch.input_ids.clone()
    half = ids.shape[1] // 2
    ids[1, half:] = ids[1, half:].roll(1)
    return replace(batch, input_ids=ids, targets=ids, sample=0 * batch.sample, n_samples=1)


def _compared(batch: Batch) -> Tensor:
    import torch

    where = torch.zeros_like(batch.targets, dtype=torch.bool)
    half = where.shape[1] // 2
    where[:, half : half + PLACES] = True
    where[:, -PLACES:] = True
    return where


def _through(blocks: Blocks, entered: Entered) -> Tensor:
    """Return what comes out of the last block in float32, which one block at a time is in."""
    hidden = entered.hidden.float()
    for module, call in zip(blocks.modules, entered.calls, strict=True):
        args, kwargs = _float(call).complete(hidden)
        hidden = hidden_in(copy.deepcopy(module).float()(*args, **kwargs))
    return hidden


def _float(value: Any) -> Any:
    """Return the arguments of a block with all of their tensors in float32 that are rounded."""
    import torch

    if isinstance(value, Call):
        return replace(value, args=_float(value.args), kwargs=_float(value.kwargs))
    if isinstance(value, dict):
        return {name: _float(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(map(_float, value))
    is_rounded = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.float() if is_rounded else value
