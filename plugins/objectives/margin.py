"""Likelihood margin of the right answers over the wrong ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from prunekit.core import Batch, Output, hookimpl, option
from prunekit.plugins.objectives.choices import MultipleChoice

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Margin(MultipleChoice):
    """Minus the mean gap in log-likelihood between right and wrong answers; lower is better.

    A loss of -0.57 means that, averaged over items, a token of the right answer is 0.57 nats
    likelier than a token of a wrong one. The study (arXiv 2604.24938, section 4) gives the gap and
    128 items of Commonsense-170k; templates, normalisation and averaging are our reading, after
    PuDDing (arXiv 2502.02014), whose own sum is `reduction = pudding-sum`.
    """

    name: ClassVar[str] = "margin"
    unit: ClassVar[str] = "nats per item"
    paper: ClassVar[str] = "arXiv 2604.24938"
    negatives: Literal["mean", "max"] = option("mean", "the wrong answers' mean, or the likeliest")
    reduction: Literal["item-mean", "pair-mean", "pudding-sum"] = option(
        "item-mean", "items alike, pairs of right and wrong alike, or summed over pairs"
    )

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Minus the margin of each item, times its wrong answers where pairs count alike."""
        import torch

        likelihood = self.likelihoods(output, batch)
        right = batch.extra["right"]
        margins, pairs = [], []
        for item in range(batch.n_samples):
            of_item = batch.sample == item
            wrong = likelihood[of_item & ~right]
            rival = wrong.max() if self.negatives == "max" else wrong.mean()
            margins.append(likelihood[of_item & right][0] - rival)
            pairs.append(len(wrong))
        weights = torch.tensor(pairs if self.reduction != "item-mean" else [1] * len(pairs))
        return -torch.stack(margins) * weights, weights

    def reduce(self, sums: Sequence[float], weights: Sequence[float]) -> float:
        """The mean over items or pairs, or PuDDing's sum."""
        total = math.fsum(sums)
        return total if self.reduction == "pudding-sum" else total / math.fsum(weights)


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Margin]
