"""KL divergence of the predictions from those of the dense model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import hookimpl
from prunekit.hf import divergence
from prunekit.plugins.objectives.kept_predictions import KeptPredictions

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Divergence(KeptPredictions):
    """Mean KL divergence per token from the dense model's predictions to the pruned model's.

    EvoPress (arXiv 2410.14649) searches with it. Of the dense model's distribution the `top` words
    are kept and the rest is one bucket, so this is a lower bound of the divergence.
    """

    name: ClassVar[str] = "kl"
    unit: ClassVar[str] = "nats per token"
    paper: ClassVar[str] = "arXiv 2410.14649"

    def compare(self, words: Tensor, kept: Tensor, logits: Tensor) -> Tensor:
        """Return the divergence at each place."""
        return divergence(kept, logits.log_softmax(-1).gather(-1, words))


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Divergence]
