"""The head of a decoder: predictions for chunks of positions, in float32 without a copy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core.interfaces import IGNORE

if TYPE_CHECKING:
    from torch import Tensor

LOGITS_AT_ONCE = 2**22
"""Logits alive at a time. With 128k words, those of 2,048 positions would take 1 GB in float32; and
memory of more than 32 MB is handed back to the system and faulted in again at every call."""
LEAST_POSITIONS = 512
"""With fewer positions at a time, the product with a large head is bound by memory."""


class Predictions:
    """The output of a decoder's last block, with the norm and head to apply."""

    def __init__(self, hidden: Tensor, head: Callable[[Tensor], Tensor], words: int) -> None:
        """Take a `head` that maps hidden states `[positions, width]` to `[positions, words]`."""
        self.hidden = hidden
        self.head = head
        self.positions_at_once = max(LEAST_POSITIONS, LOGITS_AT_ONCE // words)

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Return the float32 log-probability of each target, `[rows, length]`; 0 at IGNORE."""
        import torch

        targets = targets.to(self.hidden.device)
        where = targets != IGNORE
        wanted = torch.split(targets[where], self.positions_at_once)
        chosen = [
            logits.log_softmax(-1).gather(-1, words[:, None])[:, 0]
            for logits, words in zip(self.logits(where), wanted, strict=True)
        ]
        logprobs = torch.zeros(targets.shape, device=targets.device)
        return logprobs.masked_scatter(where, torch.cat(chosen))

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Yield float32 logits at the true places of `where`, some places at a time."""
        import torch

        places = self.hidden[where.to(self.hidden.device)]
        for hidden in torch.split(places, self.positions_at_once):
            yield self.head(hidden).float()


WORDS_AT_ONCE = 2048
"""Products of this many words and 512 positions fit into the CPU's cache."""


@contextlib.contextmanager
def precise_head(model: Any) -> Iterator[None]:
    """Make the model's head return float32 logits inside the context.

    A product in bfloat16 is accumulated in float32 and then rounded, from 8 upwards to steps of
    1/16. A second product, from which the rounded first one is subtracted before rounding,
    recovers the remainder. A head other than a plain linear layer in 16 bits is left unchanged.
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
    """Return True for torch's own 16-bit linear layer with its original forward."""
    import torch

    return (
        type(head) is torch.nn.Linear
        and head.weight.dtype in (torch.bfloat16, torch.float16)
        and "forward" not in vars(head)
    )
