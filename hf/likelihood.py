"""How well a model predicts text: the sums behind every perplexity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prunekit.core.interfaces import IGNORE, Batch, Output

if TYPE_CHECKING:
    from torch import Tensor


def negative_log_likelihood(output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
    """Summed negative log-likelihood, in nats, and number of predicted tokens of each row."""
    import torch

    nll = -output.token_logprobs(batch.targets).to("cpu", torch.float64).sum(1)
    return nll, (batch.targets != IGNORE).sum(1)


def perplexity(loss: float) -> float:
    """The perplexity of a loss in nats per token.

    >>> perplexity(0.0), perplexity(1000.0)
    (1.0, inf)
    """
    return math.exp(loss) if loss < 700 else math.inf
