"""The proof on load: running block by block must reproduce the model's own forward pass.

Some families pass values from one block to a later one, or share state. Such a block is not a
function of its input, and losses measured block by block would be silently wrong. So they are
compared with the model's own forward pass with blocks bypassed: dense, for every single block
removed and for two removals of several blocks; at two lengths and on a padded batch, both within
the model's context and vocabulary.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.errors import UnfitModel
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.trie import walk
from prunekit.hf.checkpoint import context_length
from prunekit.hf.identity import digest_of, digest_of_code
from prunekit.hf.tokens import batches_of
from prunekit.hf.vocabulary import vocabulary_size

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

ROUNDING_UNITS = 8
"""Allowed difference, in roundings of the largest logit in the model's own dtype."""


def prove(adapter: ModelAdapter) -> None:
    """Raise UnfitModel unless the adapter reproduces its model, and the model is causal."""
    import torch

    n, subsets, config = adapter.facts.n_blocks, _subsets(adapter), config_of(adapter)
    with torch.no_grad():
        _check_causal(adapter, config)
        for batch in (probe(7, config=config), probe(24, 11, config=config)):
            states = list(walk(subsets, n, adapter.enter(batch), adapter.block))
            # In another order than the walk, so that state passed between blocks differs.
            for state, subset in reversed(states):
                _compare(adapter, batch, subset, state)


def name_of_proof(adapter: ModelAdapter, identity: str) -> str:
    """Return a name for the proof that covers all it rests on: model, machine and code.

    `identity` is that of the checkpoint, and the code that of the adapter and of this package.
    """
    rests_on = {
        **adapter.facts.fingerprint,
        "checkpoint": identity,
        "prunekit": version("prunekit"),
        "adapter's code": digest_of_code(type(adapter)),
        "code": digest_of(sorted(Path(__file__).parent.glob("*.py"))),
    }
    text = repr(sorted(rests_on.items()))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _check_causal(adapter: ModelAdapter, config: PretrainedConfig) -> None:
    """Raise UnfitModel if a prediction changes with the tokens after its position."""
    batch = probe(24, config=config)
    ids = batch.input_ids.clone()
    ids[:, -1] = (ids[:, -1] + 1) % _words(config)
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

    if mine.shape != model.shape or not model.numel():
        return mine.shape == model.shape
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


def config_of(adapter: ModelAdapter) -> PretrainedConfig:
    """Return the configuration of the adapter's model."""
    with adapter.bypassing(DENSE) as model:
        config: PretrainedConfig = model.config
    return config


def probe(*lengths: int, config: PretrainedConfig | None = None) -> Batch:
    """Return a batch of rows of these lengths, with token ids that nearly every vocabulary has.

    With a configuration, ids and lengths are made to fit the model.
    """
    words, context = _words(config), config and context_length(config)
    longest = min(max(lengths), context or max(lengths))
    fitting = [max(1, length * longest // max(lengths)) for length in lengths]
    (batch,) = batches_of([_sample(length, words) for length in fitting], 10**6)
    return batch


USUAL_WORDS = 64
"""Token ids of a probe are below this, and below the size of a smaller vocabulary."""


def _words(config: PretrainedConfig | None) -> int:
    return min(USUAL_WORDS, (config and vocabulary_size(config)) or USUAL_WORDS)


def _sample(length: int, words: int) -> Sample:
    import torch

    first = 3 * (words == USUAL_WORDS)  # the first ids often are special
    count = words - first
    step = next(step for step in (7, 5, 3, 1) if math.gcd(step, count) == 1)
    ids = (torch.arange(length) * step % count + first)[None]
    return {"input_ids": ids, "targets": torch.full_like(ids, IGNORE)}
