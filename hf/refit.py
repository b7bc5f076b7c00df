"""Fit the patches of one subset again, one after the other on the stream that is repaired so far.

While a search runs, each patch is fitted on the dense stream before its cut. In the pruned model
that stream differs from the first cut on, and a later patch can make up for some of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core.batch import IGNORE, Batch
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset
from prunekit.core.repair import Cut, Patch
from prunekit.hf.fitting import FittedPatches
from prunekit.hf.repaired import RepairedAdapter, RepairedState
from prunekit.hf.streams import copied, cuts_of, tokens

if TYPE_CHECKING:
    from torch import Tensor

Place = tuple[int, int]


@dataclass(frozen=True)
class Refit:
    """Patches of a subset, and what they gain on tokens that they were checked on.

    Losses are in nats per token, without repair, with patches as in a search, and with these.
    """

    patches: dict[Place, Patch]
    bare: float
    searched: float
    refitted: float
    tokens: int
    """predicted to measure these losses"""


def refit(fitted: FittedPatches, removed: Subset) -> Refit:
    """Fit a patch for each cut on the stream that enters it in the pruned and repaired model.

    Of what the repair offers, the patch of the search, and none, the one with the lowest loss is
    taken while later cuts have the patches of the search; so no loss exceeds that of the search.
    """
    import torch

    plain = fitted.adapter
    with torch.no_grad():
        chosen: dict[Place, Patch] = {}
        places = [(i, j) for i, j in cuts_of(removed, plain.facts.n_blocks) if i]
        chosen = {place: fitted(*place) for place in places}
        losses = Losses(fitted, removed)
        searched = best = losses.of(chosen)
        for place in places:
            for patch in (*_again(fitted, removed, place, chosen), Patch()):
                loss = losses.of({**chosen, place: patch})
                if loss < best:
                    best, chosen = loss, {**chosen, place: patch}
        return Refit(chosen, losses.of({}), searched, best, losses.tokens)


class Losses:
    """Losses of one subset on the tokens that patches are checked on, by its patches."""

    def __init__(self, fitted: FittedPatches, removed: Subset) -> None:
        self.plain = fitted.adapter
        self.batches = fitted.checked
        self.removed = removed
        self.tokens = sum(int((batch.targets != IGNORE).sum()) for batch in self.batches)

    def of(self, patches: dict[Place, Patch]) -> float:
        """Return the loss in nats per token."""
        adapter = with_patches(self.plain, patches)
        total = math.fsum(
            -float(
                adapter.output(_run(adapter, batch, self.removed))
                .token_logprobs(batch.targets)
                .sum()
            )
            for batch in self.batches
        )
        return total / self.tokens


def with_patches(plain: ModelAdapter, patches: dict[Place, Patch]) -> RepairedAdapter:
    """Return a model with these patches; other cuts stay bare."""
    return RepairedAdapter(plain, lambda i, j: patches.get((i, j), Patch()), "some patches")


def _again(
    fitted: FittedPatches, removed: Subset, place: Place, patches: dict[Place, Patch]
) -> list[Patch]:
    """Return what the repair offers for the stream that the patches before a cut lead to."""
    adapter = with_patches(fitted.adapter, patches)
    start, end = place
    dense = fitted.streams[0].entering[end]
    return fitted.candidates(_cut(adapter, fitted.fitted, removed, start, dense))


def _cut(
    adapter: RepairedAdapter, batches: Sequence[Batch], removed: Subset, start: int, dense: Tensor
) -> Cut:
    """Return the tokens that enter a cut; `dense` is what is to enter the block after it."""
    import torch

    before, added = [], []
    for batch in batches:
        state = _run(adapter, batch, removed, start)
        where = batch.attention_mask.bool()
        assert state.fed is not None
        before.append(tokens(adapter.hidden(state), where))
        added.append(tokens(state.fed, where))
    return Cut(*map(copied, (torch.cat(before), torch.cat(added), dense)))


def _run(
    adapter: RepairedAdapter, batch: Batch, removed: Subset, end: int | None = None
) -> RepairedState:
    """Run the blocks that stay, of all or of those before `end`."""
    state = adapter.enter(batch)
    for index in range(adapter.facts.n_blocks if end is None else end):
        if index not in removed:
            state = adapter.block(index, state)
    return state
