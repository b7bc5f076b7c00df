"""Perplexity of running text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import Batch, Output, hookimpl
from prunekit.hf import negative_log_likelihood, perplexity
from prunekit.plugins.objectives.windows import TextWindows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Perplexity(TextWindows):
    """Mean negative log-likelihood per token; its exponential is the perplexity.

    The study (arXiv 2604.24938, section 4) takes 64 sequences of 2,048 tokens of C4. It does not
    say how they are cut; the default here is one random window from each document that is long
    enough, as in its authors' later code.
    """

    name: ClassVar[str] = "ppl"
    unit: ClassVar[str] = "nats per token"
    paper: ClassVar[str] = "arXiv 2604.24938"

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Summed negative log-likelihood and number of predicted tokens of each sequence."""
        return negative_log_likelihood(output, batch)

    def readings(self, loss: float) -> dict[str, float]:
        """The perplexity."""
        return {"perplexity": perplexity(loss)}


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Perplexity]
