"""The baseline of against_loops.py: every candidate from scratch, as published code measures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prunekit.core.batch import IGNORE, Batch
from prunekit.core.problem import Subset
from prunekit.engine.opening import calibration_samples, planned_batches
from prunekit.engine.plan import Plan


class Loop:
    """Every candidate from scratch, through the model's own forward pass."""

    def __init__(self, plan: Plan, adapter: Any) -> None:
        self.objective, self.adapter = plan.objective, adapter
        samples = calibration_samples(plan, plan.objective)
        self.batches = planned_batches(plan, samples)
        self.rows_apart = any(sample["input_ids"].shape[0] > 1 for sample in samples)

    def losses(self, subsets: Sequence[Subset]) -> list[float]:
        """Return the losses of subsets, in their order."""
        return [self._loss(subset) for subset in subsets]

    def _loss(self, subset: Subset) -> float:
        sums: list[float] = []
        weights: list[float] = []
        with self.adapter.bypassing(subset) as model:
            for batch in self.batches:
                found = self.objective.measure(Predicted(self._logprobs(model, batch)), batch)
                sums += found[0].tolist()
                weights += found[1].tolist()
        return float(self.objective.reduce(sums, weights))

    def _logprobs(self, model: Any, batch: Batch) -> Any:
        import torch

        if not self.rows_apart:
            return logprobs(model, batch.input_ids, batch.attention_mask, batch.targets)
        found = torch.zeros(batch.targets.shape)
        for row, mask in enumerate(batch.attention_mask):
            part = slice(row, row + 1), slice(0, int(mask.sum()))
            found[part] = logprobs(
                model, batch.input_ids[part], mask[None, part[1]], batch.targets[part]
            )
        return found


def logprobs(model: Any, ids: Any, mask: Any, targets: Any) -> Any:
    import torch

    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
        chosen = logits.log_softmax(-1).gather(-1, targets.clamp_min(0)[..., None])[..., 0]
    return chosen * (targets != IGNORE)


@dataclass
class Predicted:
    """The output of a model, of which only these log-probabilities are needed."""

    found: Any

    def token_logprobs(self, targets: Any) -> Any:
        """Return them."""
        return self.found
