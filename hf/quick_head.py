"""Log-probabilities of words from products in bfloat16, exact where rounding would matter.

A product in bfloat16 is more than twice as quick as one in float32, but what comes out is rounded
to 8 bits: logits of 16 to 32 to steps of 1/8. Softmax does not change if all logits of a position
are lowered by the same number. So they are lowered inside the product, before anything is rounded,
to be small where the probability is: a word d nats from the top is then wrong by at most d / 256.
The likeliest words of a position, and its target, are computed once more in float32.

What is left is 1 % of what rounding does to the logits of the model itself (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

TILE = 2**20
"""Entries of a tile of logits, which is held once in bfloat16 and twice in float32."""
LIKELIEST = 8
"""Words of each position whose logits are computed once more."""

Tile: TypeAlias = "tuple[Tensor, Tensor, Tensor]"
"""Of each position: the log-sum-exp of some words, their largest logits, and whose these are."""


def has_quick_products(head: Any) -> bool:
    """Return True if the head's numbers are in bfloat16, and this processor multiplies those.

    Without such instructions, products in bfloat16 take longer than those in float32. With a bias,
    logits could not be lowered before they are rounded.
    """
    import torch

    in_bfloat16 = head.weight.dtype is torch.bfloat16 and head.bias is None
    return in_bfloat16 and torch.cpu._is_avx512_bf16_supported()


def quick_logprobs(weight: Tensor, rows: Tensor, words: Tensor) -> Tensor:
    """Return the log-probability of a word for each row of hidden states, in float32."""
    import torch

    chosen = _exact(weight, rows, words)
    sums, largest, whose = zip(*_tiles(weight, rows, chosen), strict=True)
    total = torch.stack(sums, 1).logsumexp(1, keepdim=True)
    rounded, place = torch.cat(largest, 1).topk(min(LIKELIEST, len(weight)), 1)
    likeliest = torch.cat(whose, 1).gather(1, place)
    exact = torch.stack([_exact(weight, rows, word) for word in likeliest.unbind(1)], 1)
    more = ((exact - total).exp() - (rounded - total).exp()).sum(1)
    return (chosen - total[:, 0] - more.log1p()).clamp_max(0)


def _tiles(weight: Tensor, rows: Tensor, lowered_by: Tensor) -> Iterator[Tile]:
    """Yield what is needed of the logits of some words at a time.

    Logits are at first lowered by that of the target, then by the largest one so far.
    """
    import torch

    at_once = max(1, TILE // len(rows))
    dtypes = (rows.dtype, torch.float32, torch.float32)
    memory = [torch.empty(len(rows) * at_once, dtype=dtype) for dtype in dtypes]
    for first in range(0, len(weight), at_once):
        own = weight[first : first + at_once]
        tile, wide, logs = (m[: len(rows) * len(own)].view(len(rows), -1) for m in memory)
        lower = lowered_by.to(rows.dtype)[:, None]
        torch.addmm(lower, rows, own.t(), beta=-1, out=tile)
        largest, whose = tile.topk(min(LIKELIEST, len(own)), 1)
        # Twice as quick as logsumexp.
        torch.log_softmax(wide.copy_(tile), 1, out=logs)
        largest = largest.float() + lower
        top = largest[:, 0]
        yield top - logs.gather(1, whose[:, :1])[:, 0], largest, whose + first
        lowered_by = torch.maximum(lowered_by, top)


def _exact(weight: Tensor, rows: Tensor, words: Tensor) -> Tensor:
    """Return the logit of a word for each row."""
    import torch

    logits: Tensor = torch.linalg.vecdot(rows.float(), weight[words].float())
    return logits
