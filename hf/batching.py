"""Gather calibration samples into padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prunekit.core.interfaces import IGNORE, Batch, Sample

if TYPE_CHECKING:
    from torch import Tensor


def batches_of(samples: Sequence[Sample], tokens_per_forward: int) -> list[Batch]:
    """The samples in their order, at most so many tokens (padding included) at once.

    A sample is never cut: one that is longer than the limit is a batch by itself.
    """
    return [_collate(group) for group in _groups(samples, tokens_per_forward)]


def _groups(samples: Sequence[Sample], limit: int) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    rows = width = 0
    for sample in samples:
        more, length = sample["input_ids"].shape
        if group and (rows + more) * max(width, length) > limit:
            yield group
            group, rows, width = [], 0, 0
        group.append(sample)
        rows, width = rows + more, max(width, length)
    if group:
        yield group


def _collate(group: Sequence[Sample]) -> Batch:
    import torch

    rows = [sample["input_ids"].shape[0] for sample in group]
    width = max(sample["input_ids"].shape[1] for sample in group)
    masks = [torch.ones_like(sample["input_ids"]) for sample in group]
    others = [name for name in group[0] if name not in ("input_ids", "targets")]
    return Batch(
        input_ids=_stack([sample["input_ids"] for sample in group], width, 0),
        attention_mask=_stack(masks, width, 0),
        targets=_stack([sample["targets"] for sample in group], width, IGNORE),
        sample=torch.repeat_interleave(torch.arange(len(group)), torch.tensor(rows)),
        n_samples=len(group),
        extra={name: torch.cat([sample[name] for sample in group]) for name in others},
    )


def _stack(parts: Sequence[Tensor], width: int, filler: int) -> Tensor:
    import torch
    from torch.nn.functional import pad

    return torch.cat([pad(part, (0, width - part.shape[1]), value=filler) for part in parts])
