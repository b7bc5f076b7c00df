"""Objectives that compare predictions with those of the dense model, of which a part is kept."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core import IGNORE, Batch, Output, option
from prunekit.hf import likeliest
from prunekit.plugins.objectives.windows import TextWindows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KeptPredictions(TextWindows):
    """Keeps the dense model's likeliest words at every predicted token of the text."""

    top: int = option(64, "words kept of each of the dense model's predictions", low=1)

    @abc.abstractmethod
    def compare(self, words: Tensor, kept: Tensor, logits: Tensor) -> Tensor:
        """Return what is lost at each place, `[places]`.

        `words` and `kept` are the dense model's likeliest words, the likeliest first, and their
        log-probabilities, both `[places, top]`; `logits` is `[places, vocabulary]`.
        """

    def prepare(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """Keep the dense model's likeliest words and their log-probabilities."""
        import torch

        parts = [likeliest(logits, self.top) for logits in output.logits(batch.targets != IGNORE)]
        words, kept = (torch.cat(part) for part in zip(*parts, strict=True))
        return {"dense_words": words, "dense_logprobs": kept}

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the sum of what is lost and the number of predicted tokens of each sequence."""
        import torch

        where = batch.targets != IGNORE
        parts, start = [], 0
        for logits in output.logits(where):
            end = start + len(logits)
            words, kept = (
                batch.extra[f"dense_{name}"][start:end] for name in ("words", "logprobs")
            )
            parts.append(self.compare(words, kept, logits))
            start = end
        found = torch.cat(parts).to("cpu", torch.float64)
        rows = torch.zeros(where.shape, dtype=torch.float64).masked_scatter(where.cpu(), found)
        return rows.sum(1), where.sum(1)
