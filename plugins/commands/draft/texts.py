"""Let the dense model write greedily, alone or with a draft, by transformers' own `generate`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.hf.roundtrip import CACHE_ROUNDING_UNITS, generation_by

if TYPE_CHECKING:
    from torch import Tensor

UNITS_IN_16_BITS = 16
"""Roundings of the largest logit within which two words count as a tie."""


@dataclass(frozen=True)
class Text:
    """What the dense model writes after a prompt."""

    tokens: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class Assisted:
    """A text that the dense model wrote with a draft, beside the one that it wrote alone."""

    tokens: int
    """that it wrote with the draft"""
    forwards: int
    """of the dense model, with the draft"""
    seconds: float
    seconds_alone: float
    """for its text without the draft, written just before"""
    same: int
    """tokens up to the first at which the texts part"""
    gap: float | None = None
    """between the logits of the two words at which they part; None if they do not"""
    is_tie: bool = True
    """whether that is no more than rounding"""


def write(model: Any, settings: Mapping[str, Any], prompt: Tensor, **more: Any) -> Text:
    """Return the greedy continuation of a prompt `[1, length]`."""
    import torch

    ids = prompt.to(model.device)
    start = time.perf_counter()
    with torch.no_grad(), generation_by(model, settings):
        output = model.generate(ids, attention_mask=torch.ones_like(ids), **more)
    tokens = output[0, ids.shape[1] :].tolist()
    return Text(tuple(tokens), time.perf_counter() - start)


def assist(
    dense: Any, draft: Any, settings: Mapping[str, Any], prompt: Tensor, lookahead: int
) -> Assisted:
    """Write a text alone, then with a draft that proposes `lookahead` tokens in every round."""
    constant = {
        "num_assistant_tokens": lookahead,
        "num_assistant_tokens_schedule": "constant",
        "assistant_confidence_threshold": 0.0,
    }
    alone = write(dense, settings, prompt)
    forwards: list[None] = []
    hook = dense.register_forward_hook(lambda *_: forwards.append(None))
    try:
        with generation_by(draft, constant):
            helped = write(dense, settings, prompt, assistant_model=draft)
    finally:
        hook.remove()
    same = _same(alone.tokens, helped.tokens)
    gap, is_tie = None, True
    if alone.tokens != helped.tokens:
        gap, is_tie = _gap(dense, prompt, alone.tokens, helped.tokens, same)
    counts = len(helped.tokens), len(forwards)
    return Assisted(*counts, helped.seconds, alone.seconds, same, gap, is_tie)


def right_at(draft: Any, prompt: Tensor, text: Text) -> tuple[bool, ...]:
    """Return at which places of a text the draft's likeliest token is the one that is there."""
    import torch

    tokens = torch.tensor([text.tokens])
    ids = torch.cat([prompt, tokens], 1)[:, :-1].to(draft.device)
    with torch.no_grad():
        logits = draft(input_ids=ids, use_cache=False).logits[0, -len(text.tokens) :]
    return tuple((logits.argmax(-1).cpu() == tokens[0]).tolist())


def _same(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    parts = (at for at, (a, b) in pairs if a != b)
    return next(parts, min(len(one), len(other)))


def _gap(
    dense: Any, prompt: Tensor, one: Sequence[int], other: Sequence[int], same: int
) -> tuple[float | None, bool]:
    """Return by how much the dense model prefers one word, and if rounding may decide that."""
    import torch

    if same == min(len(one), len(other)):  # one of them ends where the other goes on
        return None, False
    ids = torch.cat([prompt, torch.tensor([one[:same]], dtype=torch.long)], 1).to(dense.device)
    with torch.no_grad():
        logits = dense(input_ids=ids, use_cache=False).logits[0, -1]
    gap = abs(float(logits[one[same]]) - float(logits[other[same]]))
    units = CACHE_ROUNDING_UNITS if logits.dtype.itemsize > 2 else UNITS_IN_16_BITS
    largest = float(logits.abs().max())
    return gap, gap <= units * torch.finfo(logits.dtype).eps * largest
