"""KL divergence of the predictions from those of the dense model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import IGNORE, Batch, Output, hookimpl, option
from prunekit.hf import divergence, likeliest
from prunekit.plugins.objectives.windows import TextWindows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Divergence(TextWindows):
    """Mean KL divergence per token from the dense model's predictions to the pruned model's.

    EvoPress (arXiv 2410.14649) searches with it. Of the dense model's distribution the `top` words
    are kept and the rest is one bucket, so this is a lower bound of the divergence.
    """

    name: ClassVar[str] = "kl"
    unit: ClassVar[str] = "nats per token"
    paper: ClassVar[str] = "arXiv 2410.14649"
    top: int = option(64, "words kept of each of the dense model's predictions", low=1)

    def prepare(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """Keep the dense model's top words and log-probabilities at every position."""
        import torch

        words, logprobs = [], []
        for logits in output.logits(batch.targets != IGNORE):
            best, likely = likeliest(logits, self.top)
            words.append(best)
            logprobs.append(likely)
        return {"dense_words": torch.cat(words), "dense_logprobs": torch.cat(logprobs)}

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the summed divergence and the number of predicted tokens of each sequence."""
        import torch

        where = batch.targets != IGNORE
        parts, start = [], 0
        for logits in output.logits(where):
            end = start + len(logits)
            words, dense = (
                batch.extra[f"dense_{name}"][start:end] for name in ("words", "logprobs")
            )
            parts.append(divergence(dense, logits.log_softmax(-1).gather(-1, words)))
            start = end
        found = torch.cat(parts).to("cpu", torch.float64)
        rows = torch.zeros(where.shape, dtype=torch.float64).masked_scatter(where.cpu(), found)
        return rows.sum(1), where.sum(1)


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Divergence]
