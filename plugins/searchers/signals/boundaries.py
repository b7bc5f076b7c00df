"""Hidden states of the dense model at the boundaries of blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunekit.core import Batch, ModelAdapter

if TYPE_CHECKING:
    from torch import Tensor


def hidden_states(adapter: ModelAdapter, batch: Batch) -> Iterator[Tensor]:
    """Yield hidden states `[tokens, width]` at each boundary in turn, without padding.

    Boundary i is the input of block i; the last one is the output of the last block.
    """
    where = batch.attention_mask.bool()
    state = adapter.enter(batch)
    yield _tokens(adapter.hidden(state), where)
    for index in range(adapter.facts.n_blocks):
        state = adapter.block(index, state)
        yield _tokens(adapter.hidden(state), where)


def _tokens(hidden: Tensor, where: Tensor) -> Tensor:
    return hidden[where.to(hidden.device)]
