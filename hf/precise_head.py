"""Logits of a 16-bit head in float32, without a copy of its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

WORDS_AT_ONCE = 2048
"""Products of this many words and 512 positions stay in the cache."""


@contextlib.contextmanager
def precise_head(model: Any) -> Iterator[None]:
    """The model's head gives logits in float32, for as long as it lasts.

    A product in bfloat16 is summed in float32 and rounded at its end, from 8 upwards to steps of
    1/16. A second product, from which the rounded first one is taken before it is rounded itself,
    puts back what was lost. A head that is no plain linear layer in 16 bits stays as it is.
    """
    head = model.get_output_embeddings()
    if not _is_plain(head):
        yield
        return
    head.forward = lambda hidden: _logits(head, hidden)
    try:
        yield
    finally:
        del head.forward


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


def _is_plain(head: Any) -> bool:
    """Whether it is torch's own linear layer in 16 bits, with a forward that nobody replaced."""
    import torch

    return (
        type(head) is torch.nn.Linear
        and head.weight.dtype in (torch.bfloat16, torch.float16)
        and "forward" not in vars(head)
    )
