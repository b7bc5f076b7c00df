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


SMALLEST_SPREAD = 0.01
"""In the unit of a margin: below it, likelihoods differ by little more than rounding."""


@dataclass(frozen=True)
class Margin(MultipleChoice):
    """Minus the mean gap in log-likelihood between right and wrong answers; lower is better.

    A loss of -0.57 means that, averaged over items, a token of the right answer is 0.57 nats
    likelier than a token of a wrong one. The study (arXiv 2604.24938, section 4) gives the gap and
    128 items of Commonsense-170k; templates, normalisation and averaging are our reading, after
    PuDDing (arXiv 2502.02014), whose own sum is `reduction = pudding-sum`.

    With a `scale`, the gap of an item is divided by the standard deviation of the log-likelihoods
    of all its options, or by 0.01 if they spread less, so that it stays finite: by that of the
    `dense` model, so that items with wide gaps do not outweigh the others, or by the measured
    model's `own`, which no common factor of the likelihoods can change.
    """

    name: ClassVar[str] = "margin"
    unit: ClassVar[str] = "nats per item"
    paper: ClassVar[str] = "arXiv 2604.24938"
    reads_targets_only: ClassVar[bool] = True
    negatives: Literal["mean", "max"] = option("mean", "the wrong answers' mean, or the likeliest")
    reduction: Literal["item-mean", "pair-mean", "pudding-sum"] = option(
        "item-mean", "items alike, pairs of right and wrong alike, or summed over pairs"
    )
    scale: Literal["none", "dense", "own"] = option(
        "none",
        "divide an item's gap by the spread of its options: the dense model's, or its own",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale != "none":  # what is divided by its spread is in nats no more
            object.__setattr__(self, "unit", "standard deviations per item")

    def prepares(self) -> bool:
        """Return whether the spread of the dense model is needed."""
        return self.scale == "dense"

    def prepare(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """Keep the spread of the dense model's likelihoods over the options of each row's item."""
        return {"dense_spread": _spread(self.likelihoods(output, batch), batch)}

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Minus the margin of each item, times its wrong answers where pairs count alike."""
        import torch

        likelihood = self.likelihoods(output, batch)
        right = batch.extra["right"]
        spread = self._scales(likelihood, batch)
        margins, pairs = [], []
        for item in range(batch.n_samples):
            of_item = batch.sample == item
            wrong = likelihood[of_item & ~right]
            rival = wrong.max() if self.negatives == "max" else wrong.mean()
            margins.append((likelihood[of_item & right][0] - rival) / spread[of_item][0])
            pairs.append(len(wrong))
        weights = torch.tensor(pairs if self.reduction != "item-mean" else [1] * len(pairs))
        return -torch.stack(margins) * weights, weights

    def _scales(self, likelihood: Tensor, batch: Batch) -> Tensor:
        """Return the divisor of each row's item, `[rows]`."""
        import torch

        if self.scale == "none":
            return torch.ones_like(likelihood)
        return batch.extra["dense_spread"] if self.scale == "dense" else _spread(likelihood, batch)

    def reduce(self, sums: Sequence[float], weights: Sequence[float]) -> float:
        """The mean over items or pairs, or PuDDing's sum."""
        total = math.fsum(sums)
        return total if self.reduction == "pudding-sum" else total / math.fsum(weights)


def _spread(likelihood: Tensor, batch: Batch) -> Tensor:
    """Return the standard deviation over the options of each row's item, `[rows]`.

    None is below SMALLEST_SPREAD; the bound is on the variance, whose root at 0 has no derivative.
    """
    import torch

    items = [likelihood[batch.sample == item] for item in range(batch.n_samples)]
    variances = torch.stack([item.var(correction=0) for item in items])
    return variances.clamp_min(SMALLEST_SPREAD**2).sqrt()[batch.sample]


@hookimpl
def prunekit_objectives() -> list[type]:
    return [Margin]
