"""The head of a decoder: predictions in float32, without the logits of all positions at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from prunekit.core.batch import IGNORE

if TYPE_CHECKING:
    from torch import Tensor

LOGITS_AT_ONCE = 7 * 2**20
"""Logits alive at a time where whole rows are needed: 28 MB in float32, as memory of 32 MB or more
is handed back to the system and faulted in again at every call."""
LEAST_POSITIONS = {"cpu": 64}
"""By device; with fewer at a time, the product with a large head is bound by memory."""
POSITIONS_AT_ONCE = 512
"""Elsewhere than on a CPU, and without whole rows."""

OfWords: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""Maps hidden states and a word for each to the words' log-probabilities, `[positions]`."""


class Predictions:
    """The output of a decoder's last block, with the norm and head to apply."""

    def __init__(
        self,
        hidden: Tensor,
        head: Callable[[Tensor], Tensor],
        words: int,
        of_words: OfWords | None = None,
    ) -> None:
        """Take a `head` that maps hidden states `[positions, width]` to `[positions, words]`.

        `of_words` gives the same log-probabilities as `head`, but needs no rows of logits; it is
        used on a CPU, whose caches it is for, where no derivative is needed.
        """
        self.hidden = hidden
        self.head = head
        self.of_words = of_words
        least = LEAST_POSITIONS.get(hidden.device.type, POSITIONS_AT_ONCE)
        self.rows_at_once = max(least, LOGITS_AT_ONCE // words)

    def token_logprobs(self, targets: Tensor) -> Tensor:
        """Return the float32 log-probability of each target, `[rows, length]`; 0 at IGNORE."""
        import torch

        targets = targets.to(self.hidden.device)
        where = targets != IGNORE
        on_cpu = targets.device.type == "cpu"
        of_words: OfWords = self._from_rows
        at_once = self.rows_at_once
        if self.of_words and on_cpu and not torch.is_grad_enabled():
            of_words, at_once = self.of_words, POSITIONS_AT_ONCE
        parts = (torch.split(values[where], at_once) for values in (self.hidden, targets))
        chosen = torch.cat([of_words(*part) for part in zip(*parts, strict=True)])
        logprobs = torch.zeros(targets.shape, device=targets.device)
        return logprobs.masked_scatter(where, chosen)

    def logits(self, where: Tensor) -> Iterator[Tensor]:
        """Yield float32 logits at the true places of `where`, some places at a time."""
        import torch

        places = self.hidden[where.to(self.hidden.device)]
        for hidden in torch.split(places, self.rows_at_once):
            yield self.head(hidden).float()

    def _from_rows(self, hidden: Tensor, words: Tensor) -> Tensor:
        logits = self.head(hidden).float()
        return logits.gather(-1, words[:, None])[:, 0] - logits.logsumexp(-1)
