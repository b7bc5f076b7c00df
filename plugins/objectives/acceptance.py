"""How often a pruned model, as a draft, proposes what the dense model accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import hookimpl
from prunekit.hf import overlap
from prunekit.plugins.objectives.kept_predictions import KeptPredictions

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Acceptance(KeptPredictions):
    """Share of tokens that speculative sampling would reject, the pruned model being the draft.

    A word drawn from the draft's distribution q is accepted with probability sum of min(p, q) over
    all words, p being the dense model's (Leviathan et al., arXiv 2211.17192, section 3.2). Of p the
    `top` words are kept and the rest is one bucket, so this is a lower bound of what is rejected.
    """

    name: ClassVar[str] = "accept"
    unit: ClassVar[str] = "tokens rejected per token"
    paper: ClassVar[str] = "arXiv 2211.17192"

    def compare(self, words: Tensor, kept: Tensor, logits: Tensor) -> Tensor:
        """Return the probability that a word is rejected at each place."""
        return 1 - overlap(kept, logits.log_softmax(-1).gather(-1, words))

    def readings(self, loss: float) -> dict[str, float]:
        """The share that is accepted."""
        return {"acceptance": 1 - loss}


@dataclass(frozen=True)
class Agreement(KeptPredictions):
    """Share of tokens at which the pruned model's likeliest word is not the dense model's.

    That is what greedy decoding with the pruned model as the draft would reject.
    """

    name: ClassVar[str] = "agree"
    unit: ClassVar[str] = "tokens rejected per token"
    differentiable: ClassVar[bool] = False

    def compare(self, words: Tensor, kept: Tensor, logits: Tensor) -> Tensor:
        """Return 1 at each place where the likeliest words differ, else 0."""
        largest, likeliest = logits.max(-1)
        broken = 0 * largest  # NaN where a prediction is not finite
        return (likeliest != words[:, 0]).float() + broken

    def readings(self, loss: float) -> dict[str, float]:
        """The share that agrees."""
        return {"agreement": 1 - loss}


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Acceptance, Agreement]
