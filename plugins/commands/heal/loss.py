"""The loss of a student on text and against its teacher, and a model's loss on held-out text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.measurement import Measurement
from prunekit.plugins.commands.heal.predictions import Predictions
from prunekit.plugins.commands.heal.text import batch_of

if TYPE_CHECKING:
    from torch import Tensor

PLACES = 256
"""Positions whose logits are in float32 at a time; a tile of them is made again for gradients."""


def student_loss(
    logits: Tensor, targets: Tensor, teacher: Predictions | None, distill: float
) -> Tensor:
    """Return the mean over predicted tokens of `distill` KL(teacher, student) + (1 - it) NLL.

    `logits` is `[rows, length, vocabulary]`, `targets` `[rows, length]`. In nats; Hinton et al.
    (arXiv 1503.02531) at temperature 1. Without a teacher it is the second part alone.
    """
    from torch.utils.checkpoint import checkpoint

    flat, wanted = logits.flatten(0, 1), targets.flatten()
    total: Any = 0.0
    for first in range(0, len(wanted), PLACES):
        part = slice(first, first + PLACES)
        of_teacher = teacher.at(part) if teacher else None
        given = (flat[part], wanted[part], of_teacher, distill)
        total = total + checkpoint(_sum, *given, use_reentrant=False)
    mean: Tensor = total / (wanted != IGNORE).sum()
    return mean


def _sum(logits: Tensor, targets: Tensor, teacher: Predictions | None, distill: float) -> Tensor:
    logprobs, counts = logits.float().log_softmax(-1), targets != IGNORE
    nll = -logprobs.gather(-1, targets.clamp_min(0)[:, None])[:, 0]
    if teacher is None:
        return (nll * counts).sum()
    loss: Tensor = (distill * teacher.divergence(logprobs) + (1 - distill) * nll) * counts
    return loss.sum()


def logits_of(model: Any, batch: Batch) -> Tensor:
    """Return the logits of a batch, `[rows, length, vocabulary]`, in the model's dtype."""
    device = "cpu" if model.device.type == "meta" else model.device  # hooks move what they need
    logits: Tensor = model(
        input_ids=batch.input_ids.to(device),
        attention_mask=batch.attention_mask.to(device),
        use_cache=False,
    ).logits
    return logits


def text_losses(
    model: Any,
    samples: Sequence[Sample],
    at_once: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Measurement:
    """Return the negative log-likelihood of each sample in nats, and its predicted tokens.

    At most `at_once` tokens run together; `progress` takes the number of samples done.
    """
    import torch

    rows = max(1, at_once // max(sample["input_ids"].shape[1] for sample in samples))
    sums: list[float] = []
    counts: list[float] = []
    with torch.no_grad():
        for first in range(0, len(samples), rows):
            batch = batch_of(samples[first : first + rows])
            logits = logits_of(model, batch)
            targets = batch.targets.to(logits.device)
            for row, wanted in zip(logits, targets, strict=True):
                sums.append(_nll_of_row(row, wanted))
                counts.append(float((wanted != IGNORE).sum()))
            progress(len(sums))
    return Measurement(tuple(sums), tuple(counts))


def _nll_of_row(logits: Tensor, targets: Tensor) -> float:
    parts = [slice(i, i + PLACES) for i in range(0, len(targets), PLACES)]
    return sum(float(_sum(logits[part], targets[part], None, 0.0)) for part in parts)
