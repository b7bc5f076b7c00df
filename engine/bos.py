"""Check for a beginning-of-text token in calibration samples, and measure its effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.interfaces import ModelAdapter, Objective, Output
from prunekit.core.measurement import mean_loss
from prunekit.core.options import values_of
from prunekit.core.problem import DENSE
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.tokens import batches_of, negative_log_likelihood

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

TOKENS = 1024
"""Tokens on which the effect is measured, or the first sample if it is longer."""
MUCH = 0.5
"""Nats per token above which a difference is reported."""


def begins_with(samples: Sequence[Sample], tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the beginning-of-text token if every row begins with it, otherwise ''."""
    bos = tokenizer.bos_token_id
    if bos is None or not all((sample["input_ids"][:, 0] == bos).all() for sample in samples):
        return ""
    return str(tokenizer.bos_token)


def remark_on_bos(
    adapter: ModelAdapter,
    objective: Objective,
    samples: Sequence[Sample],
    tokenizer: PreTrainedTokenizerBase,
) -> str:
    """Return a remark if the dense model's loss depends much on the token, otherwise ''.

    Objectives without an option `add_bos` are not checked.
    """
    bos = tokenizer.bos_token_id
    if bos is None or "add_bos" not in values_of(objective):
        return ""
    has = bool(begins_with(samples, tokenizer))
    with_it, without = (_loss(adapter, batch) for batch in _both(samples, bos, has))
    if not abs(with_it - without) > MUCH:
        return ""
    flag, word = f"--{objective.name}.add-bos", tokenizer.bos_token
    cure = "" if has == (with_it < without) else f"; try {flag} {'none' if has else 'every'}"
    return (
        f"{objective.name}: samples begin with{'' if has else 'out'} {word}; the dense model loses "
        f"{with_it:.2f} nats per token with it and {without:.2f} without{cure}"
    )


def _both(samples: Sequence[Sample], bos: int, has: bool) -> tuple[Batch, Batch]:
    """Return the first samples with the token and without; the same tokens are predicted.

    If it is added, samples lose their last token, so that none becomes longer.
    """
    import torch

    (batch, *_) = batches_of(samples, TOKENS)
    body = slice(1, None) if has else slice(None, -1)
    ids, targets = batch.input_ids[:, body], batch.targets[:, body]
    mask = batch.attention_mask[:, body]
    column = torch.ones_like(batch.input_ids[:, :1])
    more_ids, more_mask, more_targets = (
        torch.cat([column * first, rest], 1)
        for first, rest in ((bos, ids), (1, mask), (IGNORE, targets))
    )
    rows = torch.arange(len(ids))
    with_it = Batch(more_ids, more_mask, more_targets, rows, len(rows))
    return with_it, Batch(ids, mask, targets, rows, len(rows))


class _Likelihood(Objective):
    """The likelihood of every row, independent of the user's objective."""

    name: ClassVar[str] = "likelihood"
    unit: ClassVar[str] = "nats per token"

    def calibration_set(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Sample]:
        """Return nothing: the batches are built already."""
        return ()

    def measure(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return summed negative log-likelihood and number of predicted tokens of each row."""
        return negative_log_likelihood(output, batch)


def _loss(adapter: ModelAdapter, batch: Batch) -> float:
    (piece,) = PrefixMeter(adapter, _Likelihood(), [batch]).measure([[DENSE]])
    return mean_loss(piece.sums, piece.weights)
