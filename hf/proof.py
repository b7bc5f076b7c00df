"""The proof on load: running block by block must reproduce the model's own forward pass.

Some families pass values from one block to a later one, or share state. Such a block is not a
function of its input, and losses measured block by block would be silently wrong. So they are
compared with the model's own forward pass with blocks bypassed: dense, for every single block
removed and for two removals of several blocks; at two lengths and on a padded batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from prunekit.core.errors import UnfitModel
from prunekit.core.interfaces import IGNORE, Batch, ModelAdapter, Sample
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.trie import walk
from prunekit.hf.tokens import batches_of

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING_UNITS = 8
"""Allowed difference, in roundings of the largest logit in the model's own dtype."""


def prove(adapter: ModelAdapter) -> None:
    """Raise UnfitModel unless the adapter reproduces its model, and the model is causal."""
    import torch

    n, subsets = adapter.facts.n_blocks, _subsets(adapter)
    with torch.no_grad():
        _check_causal(adapter)
        for batch in (probe(7), probe(24, 11)):
            states = list(walk(subsets, n, adapter.enter(batch), adapter.block))
            # In another order than the walk, so that state passed between blocks differs.
            for state, subset in reversed(states):
                _compare(adapter, batch, subset, state)


def _check_causal(adapter: ModelAdapter) -> None:
    """Raise UnfitModel if a prediction changes with the tokens after its position."""
    batch = probe(24)
    ids = batch.input_ids.clone()
    ids[:, -1] += 1
    one, other = (
        adapter.reference(replace(batch, input_ids=i), DENSE)[:, :-1]
        for i in (batch.input_ids, ids)
    )
    if not close(one, other):
        raise UnfitModel(
            "its predictions depend on later tokens, so it is not a causal language "
            "model; in an encoder's configuration, is `is_decoder` true?"
        )


def _compare(adapter: ModelAdapter, batch: Batch, subset: Subset, state: object) -> None:
    import torch

    where = batch.attention_mask.bool()
    mine = torch.cat(list(adapter.output(state).logits(where)))
    model = adapter.reference(batch, subset)
    model = model[where.to(model.device)]
    if not close(mine, model):
        raise UnfitModel(
            f"with blocks {words(subset)} removed, logits differ by {gap(mine, model):.2g} from "
            "those of the model's own forward, so its blocks hand each other more than a hidden "
            "state"
        )


def close(mine: Tensor, model: Tensor, rounding_units: float = ROUNDING_UNITS) -> bool:
    """Return True if logits agree with the model's own up to rounding in its dtype."""
    import torch

    if mine.shape != model.shape:
        return False
    largest = float(model.nan_to_num(0, 0, 0).abs().max())
    allowed = rounding_units * torch.finfo(model.dtype).eps * largest
    return torch.allclose(mine.float(), model.float(), rtol=0, atol=allowed, equal_nan=True)


def gap(mine: Tensor, model: Tensor) -> float:
    """Return the largest difference."""
    return (
        float((mine.float() - model.float()).abs().max())
        if mine.shape == model.shape
        else float("inf")
    )


def _subsets(adapter: ModelAdapter) -> list[Subset]:
    blocks = range(adapter.facts.n_blocks)
    several = [frozenset(blocks[1::2]), frozenset(blocks[len(blocks) // 3 :: 3])]
    return [DENSE, *(frozenset({i}) for i in blocks), *several]


def probe(*lengths: int) -> Batch:
    """Return a batch of rows of these lengths, with token ids that every vocabulary has."""
    (batch,) = batches_of([_sample(length) for length in lengths], 10**6)
    return batch


def _sample(length: int) -> Sample:
    import torch

    ids = (torch.arange(length) * 7 % 61 + 3)[None]
    return {"input_ids": ids, "targets": torch.full_like(ids, IGNORE)}
