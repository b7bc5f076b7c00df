"""Cross-entropy of the right answers among the options of their items."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import Batch, Output, hookimpl
from prunekit.plugins.objectives.choices import MultipleChoice

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Choice(MultipleChoice):
    """Mean cross-entropy of the right answer among an item's options; lower is better.

    The softmax of the log-likelihoods, normalised by `norm`, is a probability for each option, and
    an item's loss is minus the logarithm of the right one's. This is the logarithmic score (Good,
    1952), a strictly proper scoring rule (Gneiting and Raftery, 2007, section 4.1): in expectation
    it is best for the true probabilities alone. Unlike a margin it is bounded from below, by 0, and
    a gap that is too wide for how often it is right costs more than it gains. Guessing among four
    options costs log 4, 1.39 nats.
    """

    name: ClassVar[str] = "choice"
    unit: ClassVar[str] = "nats per item"
    paper: ClassVar[str] = "Good 1952"
    reads_targets_only: ClassVar[bool] = True

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Minus the log-probability of the right option of each item; every item weighs 1."""
        import torch

        likelihood, right = self.likelihoods(output, batch), batch.extra["right"]
        losses = []
        for item in range(batch.n_samples):
            of_item = batch.sample == item
            losses.append(likelihood[of_item].logsumexp(0) - likelihood[of_item & right][0])
        sums = torch.stack(losses)
        return sums, torch.ones_like(sums)

    def readings(self, loss: float) -> dict[str, float]:
        """The geometric mean of the right options' probabilities, in per cent."""
        return {"probability (%)": 100 * math.exp(-max(loss, 0.0))}


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Choice]
