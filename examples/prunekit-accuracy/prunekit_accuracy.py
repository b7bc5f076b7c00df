"""Task accuracy: how many questions are answered wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import Batch, Output, hookimpl
from prunekit.plugins.objectives.choices import MultipleChoice

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Accuracy(MultipleChoice):
    """Share of items whose likeliest choice is not the right one; lower is better.

    TALE (arXiv 2510.22767) removes blocks greedily by task accuracy. Where two choices are equally
    likely the item counts as wrong.
    """

    name: ClassVar[str] = "accuracy"
    unit: ClassVar[str] = "wrong answers per item"
    paper: ClassVar[str] = "arXiv 2510.22767"
    differentiable: ClassVar[bool] = False

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """1 for each item that is answered wrong, 0 for the others; every item weighs 1."""
        import torch

        likelihood, right = self.likelihoods(output, batch), batch.extra["right"]
        leads = []
        for item in range(batch.n_samples):
            of_item = batch.sample == item
            leads.append(likelihood[of_item & right][0] - likelihood[of_item & ~right].max())
        lead = torch.stack(leads)
        # A model whose numbers ran over answers nothing: what is not finite stays so.
        wrong = torch.where(lead.isnan(), lead, (lead <= 0).to(lead.dtype))
        return wrong, torch.ones_like(wrong)

    def readings(self, loss: float) -> dict[str, float]:
        """The accuracy in per cent."""
        return {"accuracy (%)": 100 * (1 - loss)}


@hookimpl
def prunekit_objectives() -> list[type]:
    """What this distribution adds to prunekit."""
    return [Accuracy]
