"""What the residual stream does at every boundary between blocks, on some text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core.batch import Batch
from prunekit.core.problem import Subset
from prunekit.core.repair import Cut, Patch
from prunekit.hf.folds import TappedBlocks

if TYPE_CHECKING:
    from torch import Tensor

    from prunekit.hf.decoder import DecoderAdapter


@dataclass(frozen=True)
class Streams:
    """The tokens of some batches at every boundary, in the dtype of the model."""

    entering: tuple[Tensor, ...]
    """`[tokens, width]`, what enters each block, and what leaves the last one"""
    fed: tuple[Tensor, ...]
    """`[tokens, width]`, what the feed-forward layer of each block added"""

    @classmethod
    def of(cls, adapter: DecoderAdapter, batches: Sequence[Batch]) -> Streams:
        """Run the dense model. It takes memory for all tokens, twice the width, at each block."""
        n = adapter.facts.n_blocks
        entering: list[list[Tensor]] = [[] for _ in range(n + 1)]
        fed: list[list[Tensor]] = [[] for _ in range(n)]
        tapped = TappedBlocks(adapter)
        for batch in batches:
            where = batch.attention_mask.bool()
            state = adapter.enter(batch)
            for index in range(n):
                entering[index].append(tokens(adapter.hidden(state), where))
                state, added = tapped.run(index, state)
                fed[index].append(tokens(added, where))
            entering[n].append(tokens(adapter.hidden(state), where))
        return cls(tuple(map(_joined, entering)), tuple(map(_joined, fed)))

    def cut(self, start: int, end: int) -> Cut:
        """Return the tokens where blocks `start` to `end - 1` are removed; `start` is above 0."""
        return Cut(*map(copied, (self.entering[start], self.fed[start - 1], self.entering[end])))


def tokens(hidden: Tensor, where: Tensor) -> Tensor:
    """Return the tokens, in a place where float64 is at hand: an Apple GPU has none."""
    found = hidden[where.to(hidden.device)]
    return found.cpu() if found.device.type == "mps" else found


def _joined(parts: list[Tensor]) -> Tensor:
    """Join tensors and let go of them, so that one boundary at a time is there twice."""
    import torch

    whole = torch.cat(parts)
    parts.clear()
    return whole


def copied(tokens: Tensor) -> Tensor:
    """Copy to float32, as a plugin may write into its cut, and other cuts have the same tokens."""
    import torch

    return tokens.to(torch.float32, copy=True)


def cuts_of(removed: Subset, n_blocks: int) -> list[tuple[int, int]]:
    """Return the runs of adjacent removed blocks: where each starts, and the block after it.

    >>> cuts_of(frozenset({1, 2, 5}), 6)
    [(1, 3), (5, 6)]
    """
    starts = [i for i in sorted(removed) if i - 1 not in removed]
    ends = [i for i in range(1, n_blocks + 1) if i - 1 in removed and i not in removed]
    return list(zip(starts, ends, strict=True))


OUTLIER, SMALLEST = 100, 1e-9
"""In medians of mean squares: from where a stream is an outlier, and what a smaller one counts as,
since one of zeros has no relative error."""


def distance(cut: Cut, patch: Patch) -> float:
    """Return how far a patched stream is from the dense one, relative to the latter."""
    gap = cut.after - patched(patch, cut.before, cut.fed)
    return float((gap.double().square().mean(-1) * token_weights(cut)).mean())


def token_weights(cut: Cut) -> Tensor:
    """Return the weight of each token in a sum of squares, float64 `[tokens]`.

    It is one over the mean square of the dense stream, as the norm that reads it next sees relative
    errors. The few tokens whose stream is some hundred times as large, on which the attention of
    all others rests (Sun et al., arXiv 2402.17762), weigh as much together as the others do.
    """
    import torch

    after = cut.after.double().square().mean(-1)
    largest = torch.maximum(after, cut.before.double().square().mean(-1))
    outlier = largest > OUTLIER * largest.median()
    found = int(outlier.sum())
    balanced = (len(outlier) - found) / found if found else 1.0
    return torch.where(outlier, balanced, 1.0) / after.clamp_min(SMALLEST * largest.median())


def patched(patch: Patch, hidden: Tensor, fed: Tensor) -> Tensor:
    """Return the stream after a cut."""
    if patch.scale != 1:
        hidden = (hidden.float() * patch.scale).to(hidden.dtype)
    return hidden if patch.matrix is None else hidden + fed @ patch.matrix.to(fed)
