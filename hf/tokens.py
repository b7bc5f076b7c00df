"""Tokenise texts, batch them with padding, and compute their likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Output

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

Beginning: TypeAlias = Literal["auto", "every", "none"]
"""`auto`: what the tokenizer puts before a text, `every`: its beginning-of-text token, or nothing.
The same tokens precede every window and item."""


def first_tokens(tokenizer: PreTrainedTokenizerBase, how: Beginning, flag: str) -> list[int]:
    """Return the tokens before every text. Raises ConfigError if a requested one is missing.

    `flag` is the option that holds `how`, for the message.
    """
    if how == "none":
        return []
    if how == "auto":
        return _own_first_tokens(tokenizer)
    if tokenizer.bos_token_id is None:
        raise ConfigError(
            f"{flag} every: this tokenizer has no beginning-of-text token; drop {flag}"
        )
    return [tokenizer.bos_token_id]


def plain_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return the tokens of a text, without special tokens."""
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


def _own_first_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that a tokenizer puts before a text, without any after it."""
    whole: list[int] = tokenizer("a").input_ids
    plain = plain_tokens(tokenizer, "a")
    starts = range(len(whole) - len(plain) + 1)
    return next((whole[:i] for i in starts if whole[i : i + len(plain)] == plain), [])


def batches_of(
    samples: Sequence[Sample], tokens_per_forward: int, ends: Sequence[int] = ()
) -> list[Batch]:
    """Batch the samples in order, each batch with at most that many tokens, padding included.

    A sample is never cut: one that is longer than the limit is a batch by itself. Of the numbers of
    samples in `ends`, which rise, each is one where a batch ends.
    """
    cuts = [0, *ends, len(samples)]
    parts = [samples[first:last] for first, last in pairwise(cuts)]
    return [_collate(group) for part in parts for group in _groups(part, tokens_per_forward)]


def _groups(samples: Sequence[Sample], limit: int) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    rows = width = 0
    for sample in samples:
        more, length = sample["input_ids"].shape
        if group and (rows + more) * max(width, length) > limit:
            yield group
            group, rows, width = [], 0, 0
        group.append(sample)
        rows, width = rows + more, max(width, length)
    if group:
        yield group


def _collate(group: Sequence[Sample]) -> Batch:
    import torch

    rows = [sample["input_ids"].shape[0] for sample in group]
    width = max(sample["input_ids"].shape[1] for sample in group)
    masks = [torch.ones_like(sample["input_ids"]) for sample in group]
    others = [name for name in group[0] if name not in ("input_ids", "targets")]
    return Batch(
        input_ids=_stack([sample["input_ids"] for sample in group], width, 0),
        attention_mask=_stack(masks, width, 0),
        targets=_stack([sample["targets"] for sample in group], width, IGNORE),
        sample=torch.repeat_interleave(torch.arange(len(group)), torch.tensor(rows)),
        n_samples=len(group),
        extra={name: torch.cat([sample[name] for sample in group]) for name in others},
    )


def _stack(parts: Sequence[Tensor], width: int, filler: int) -> Tensor:
    import torch
    from torch.nn.functional import pad

    return torch.cat([pad(part, (0, width - part.shape[1]), value=filler) for part in parts])


def negative_log_likelihood(output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the negative log-likelihood in nats and the predicted tokens of each row."""
    import torch

    nll = -output.token_logprobs(batch.targets).to("cpu", torch.float64).sum(1)
    return nll, (batch.targets != IGNORE).sum(1)


def perplexity(loss: float) -> float:
    """Return the perplexity of a loss in nats per token.

    >>> perplexity(0.0), perplexity(1000.0)
    (1.0, inf)
    """
    return math.exp(loss) if loss < 700 else math.inf
