"""A head that is a plain linear layer: float32 out of 16 bits, with or without rows of logits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from prunekit.hf.quick_head import has_quick_products, quick_logprobs

if TYPE_CHECKING:
    from torch import Tensor

Act: TypeAlias = "Callable[[Any, Tensor], Tensor]"
"""Takes the place of a head's forward: `act(head, hidden)`."""

TILE = 2**21
"""Entries of a tile of weights, and of one of logits: 8 MB each in float32. They stay in the CPU's
cache, and below the size at which memory is handed back to the system at every call."""
WORDS_AT_ONCE = 2048
"""Of full rows of logits; products of this many words and 512 positions fit into the cache."""


@contextlib.contextmanager
def head_doing(model: Any, act: Act) -> Iterator[None]:
    """Replace the forward of the model's head inside the context."""
    head = model.get_output_embeddings()
    head.forward = lambda hidden: act(head, hidden)
    try:
        yield
    finally:
        del head.forward


def ends_with_head(model: Any, run: Callable[[], Tensor]) -> bool:
    """Return True if `run`, a pass through the model, ends with its head, a plain linear layer.

    What the head gives must come out untouched and in the same memory: a soft cap, a scale or a
    mask of words would make other logits of it.
    """
    import torch

    if not _is_linear(model.get_output_embeddings()):
        return False
    given: list[Tensor] = []

    def mark(head: Any, hidden: Tensor) -> Tensor:
        marks = torch.linspace(-9, 9, len(head.weight), device=hidden.device)
        given.append(marks.expand(*hidden.shape[:-1], -1).contiguous())
        return given[-1]

    with head_doing(model, mark):
        found = run()
    return (
        len(given) == 1
        and found.data_ptr() == given[0].data_ptr()
        and found.shape[-1] == given[0].shape[-1]
        and given[0]._version == 0
    )


def word_logprobs(head: Any, hidden: Tensor, words: Tensor) -> Tensor:
    """Return the log-probability of a word for each hidden state, `[..., 1]` in float32.

    Sums of exponentials are joined tile by tile, so a row of logits never exists.
    """
    rows = hidden.flatten(0, -2)
    if has_quick_products(head):
        found = quick_logprobs(head.weight, rows, words)
    else:
        found = _exact_logprobs(head, rows.float(), words)
    return found.view(*hidden.shape[:-1], 1)


def _exact_logprobs(head: Any, rows: Tensor, words: Tensor) -> Tensor:
    import torch

    at_once = max(1, TILE // max(rows.shape))
    logits, weights = (rows.new_empty(at_once * n) for n in rows.shape)
    total = rows.new_full((len(rows),), -torch.inf)
    chosen = total
    with _exact_products(head.weight.dtype):
        for first in range(0, len(head.weight), at_once):
            tile = _tile(head, rows, slice(first, first + at_once), logits, weights)
            place = words - first
            inside = (place >= 0) & (place < tile.shape[1])
            found = tile.gather(1, place.clamp(0, tile.shape[1] - 1)[:, None])[:, 0]
            chosen = torch.where(inside, found, chosen)
            total = torch.logaddexp(total, tile.logsumexp(1))
    return chosen - total


def _tile(head: Any, rows: Tensor, part: slice, logits: Tensor, weights: Tensor) -> Tensor:
    """Return logits of some words, in the memory of `logits`; `weights` is memory for theirs."""
    import torch

    own = head.weight[part]
    if own.dtype is not torch.float32:
        own = weights[: own.numel()].view(own.shape).copy_(own)
    tile = logits[: len(rows) * len(own)].view(len(rows), len(own))
    torch.mm(rows, own.t(), out=tile)
    return tile if head.bias is None else tile.add_(head.bias[part])


@contextlib.contextmanager
def _exact_products(dtype: Any) -> Iterator[None]:
    """Let products of float32 matrices be as quick as is exact for numbers of this dtype.

    Their factors may then be rounded to 8 bits of mantissa, which all numbers in bfloat16 have, or
    to the 11 of float16; sums stay in float32.
    """
    import torch

    before = torch.get_float32_matmul_precision()
    exact = {torch.bfloat16: "medium", torch.float16: "high"}
    torch.set_float32_matmul_precision(exact.get(dtype, before))
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def precise_head(model: Any) -> Iterator[None]:
    """Make the model's head return float32 logits inside the context.

    A product in bfloat16 is accumulated in float32 and then rounded, from 8 upwards to steps of
    1/16. A second product, from which the rounded first one is subtracted before rounding,
    recovers the remainder. A head other than a plain linear layer in 16 bits is left unchanged.
    """
    import torch

    head = model.get_output_embeddings()
    if _is_linear(head) and head.weight.dtype is not torch.float32:
        with head_doing(model, _logits):
            yield
    else:
        yield


def _logits(head: Any, hidden: Tensor) -> Tensor:
    import torch

    rows, words = hidden.flatten(0, -2), len(head.weight)
    logits = torch.empty(len(rows), words, dtype=torch.float32, device=rows.device)
    for first in range(0, words, WORDS_AT_ONCE):
        part = slice(first, first + WORDS_AT_ONCE)
        logits[:, part] = _product(rows, head.weight[part].t())
    if head.bias is not None:
        logits = logits + head.bias.float()
    return logits.view(*hidden.shape[:-1], words)


def _product(rows: Tensor, weights: Tensor) -> Tensor:
    import torch

    with torch.no_grad():
        rounded = rows @ weights
    rest = torch.addmm(rounded, rows, weights, beta=-1)
    return rounded.float().add_(rest)


def _is_linear(head: Any) -> bool:
    """Return True for torch's own linear layer in at most 32 bits with its original forward."""
    import torch

    return (
        type(head) is torch.nn.Linear
        and head.weight.dtype in (torch.bfloat16, torch.float16, torch.float32)
        and "forward" not in vars(head)
    )
