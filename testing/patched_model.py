"""Run a demo model with the patches of a repair, and with them folded into its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunekit.core.batch import Batch
from prunekit.core.problem import Subset, words
from prunekit.core.repair import Repair
from prunekit.hf.decoder import DecoderAdapter
from prunekit.hf.fitting import FittedPatches
from prunekit.hf.proof import close, config_of, gap, probe
from prunekit.hf.repaired import RepairedAdapter
from prunekit.hf.roundtrip import sharing
from prunekit.hf.tokens import batches_of
from prunekit.testing.contract import Checker
from prunekit.testing.toys import demo_adapter

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 32
ROUNDING_UNITS = 64
"""Allowed difference, in roundings of the largest logit."""


def check_on_model(checker: Checker, repair: Repair) -> None:
    """Raise ContractError unless a model with chosen patches is the one that they are folded into.

    The patches are fitted on streams of a demo model that reads random words.
    """
    import torch

    plain = demo_adapter()
    assert isinstance(plain, DecoderAdapter)
    with checker.doing("naming the tokens that it needs for a demo model"):
        needed = repair.tokens_needed(plain.model.config.hidden_size)
    patches = FittedPatches(repair, plain, _batches(needed, seed=1), _batches(LENGTH, seed=2))
    adapter = RepairedAdapter(plain, patches, "checked")
    with torch.no_grad():
        for removed in _subsets(plain.facts.n_blocks):
            with checker.doing(f"repairing a demo model without blocks {words(removed)}"):
                found, expected = _both_ways(adapter, removed)
            checker.require(
                close(found, expected, ROUNDING_UNITS),
                f"yields a patch so strong that a demo model without blocks {words(removed)} "
                f"predicts something else once it is folded into the weights: logits differ by "
                f"{gap(found, expected):.2g}; keep the scale near 1, and the matrix small",
            )


def _subsets(n: int) -> list[Subset]:
    """Return one cut, two of which one is wide, and one at either end."""
    third = n // 3
    return [frozenset(blocks) for blocks in ([third], [third - 1, third, 2 * third], [0, n - 1])]


def _batches(tokens: int, seed: int) -> list[Batch]:
    """Return at least that number of tokens of random words."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    rows = math.ceil(tokens / LENGTH)
    size = config_of(demo_adapter()).vocab_size
    ids = torch.randint(size, (rows, LENGTH + 1), generator=chance)
    samples = [{"input_ids": row[None, :-1], "targets": row[None, 1:]} for row in ids]
    return batches_of(samples, 1024)


def _both_ways(adapter: RepairedAdapter, removed: Subset) -> tuple[Tensor, Tensor]:
    """Return the logits of the folded model, and of its blocks run one by one."""
    import torch

    batch = probe(24, config=config_of(adapter))
    state = adapter.enter(batch)
    for index in _left(adapter, removed):
        state = adapter.block(index, state)
    walked = torch.cat(list(adapter.output(state).logits(batch.attention_mask.bool())))
    with adapter.bypassing(frozenset()) as dense:
        pruned = sharing(adapter, dense).without(removed)
    logits: Tensor = pruned(input_ids=batch.input_ids, use_cache=False).logits
    return logits.flatten(0, 1), walked


def _left(adapter: RepairedAdapter, removed: Subset) -> Iterator[int]:
    return (index for index in range(adapter.facts.n_blocks) if index not in removed)
