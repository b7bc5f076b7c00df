"""Block Influence: how much each block turns the hidden state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import (
    Batch,
    ModelAdapter,
    Objective,
    Problem,
    Search,
    Searcher,
    Signal,
    Table,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor


def block_influence(adapter: ModelAdapter, objective: Objective, batches: Iterable[Batch]) -> Table:
    """Return one minus the mean cosine similarity of each block's input and output, `[1][blocks]`.

    The mean is over all tokens of the calibration set, without padding. Only two hidden states are
    alive at a time.
    """
    import torch

    totals, tokens = [0.0] * adapter.facts.n_blocks, 0
    with torch.no_grad():
        for batch in batches:
            where = batch.attention_mask.bool()
            tokens += int(where.sum())
            state = adapter.enter(batch)
            entered = _tokens(adapter.hidden(state), where)
            for index in range(adapter.facts.n_blocks):
                state = adapter.block(index, state)
                left = _tokens(adapter.hidden(state), where)
                cosines = torch.cosine_similarity(entered, left, dim=-1)
                totals[index] += float(cosines.double().sum())
                entered = left
    return [[1 - total / tokens for total in totals]]


def _tokens(hidden: Tensor, where: Tensor) -> Tensor:
    """Select the hidden states of real tokens, `[tokens, width]`, in float32."""
    return hidden[where.to(hidden.device)].float()


def synthetic_influence(n_blocks: int) -> Table:
    """Return an influence that is largest at both ends, as in trained models."""
    return [[1 / (1 + min(i, n_blocks - 1 - i)) for i in range(n_blocks)]]


BLOCK_INFLUENCE = Signal(
    "block_influence", block_influence, synthetic_influence, rows="one", columns="blocks"
)


@dataclass(frozen=True)
class BlockInfluence(Searcher):
    """Remove the blocks that change the direction of the hidden state least.

    The signal decides alone: no subset is measured.
    """

    name: ClassVar[str] = "block-influence"
    paper: ClassVar[str] = "arXiv 2403.03853"

    @property
    def needs(self) -> tuple[Signal, ...]:
        """Return the influence of every block on the hidden state."""
        return (BLOCK_INFLUENCE,)

    def search(self, problem: Problem) -> Search:
        """Rank the removable blocks; of equal ones the first goes."""
        yield from ()  # a search is a generator, also if it asks for nothing
        (influence,) = problem.signals[BLOCK_INFLUENCE.name]
        ranked = sorted(problem.removable, key=lambda block: (influence[block], block))
        return frozenset(ranked[: problem.budget])


@hookimpl
def prunekit_searchers() -> list[type]:
    """Return the plugins of this distribution."""
    return [BlockInfluence]
