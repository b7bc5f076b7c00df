"""What a decoder predicts, made for chunks of positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prunekit.core import IGNORE

if TYPE_CHECKING:
    from torch import Tensor

LOGITS_AT_ONCE = 2**22
"""Logits alive at a time. With 128k words, those of 2,048 positions would take 1 GB in float32; and
memory of more than 32 MB is handed back to the system and faulted in again at every call."""
LEAST_POSITIONS = 512
"""Fewer positions at a time would leave the product with a large head waiting for memory."""


class Predictions:
    """The output of a decoder's last block, and the norm and head that read it."""

    def __init__(self, hidden: Tensor, head: Callable[[Tensor], Tensor], words: int) -> None:
        """`head` takes hidden states `[positions, width]` to logits `[positions, words]`."""
        self.hidden = hidden
        self.head = head
        self.positions_at_once = max(LEAST_POSITIONS, LOGITS_AT_ONCE // words)

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Log-probability in float32 of each target, `[rows, length]`; 0 where it is IGNORE."""
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
        """Logits in float32 at the true places of `where`, some places at a time."""
        import torch

        places = self.hidden[where.to(self.hidden.device)]
        for hidden in torch.split(places, self.positions_at_once):
            yield self.head(hidden).float()
