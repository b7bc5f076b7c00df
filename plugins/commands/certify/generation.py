"""Write texts with a model, many at once; the same ones however they are put together.

What is sampled depends on a seed for each text and not on its neighbours, and two models with the
same seeds draw the same random numbers: their difference is then less due to chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.hf.roundtrip import generation_by

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Written:
    """What a model wrote."""

    tokens: tuple[int, ...]
    """without the one that ends it"""
    ended: bool
    """whether the model ended it, or it was cut at the most tokens"""
    text: str


@dataclass(frozen=True)
class Start:
    """What to continue."""

    ids: tuple[int, ...]
    seed: str = ""
    """of the sampling; empty for the likeliest token at each step"""


class GumbelNoise:
    """Makes the likeliest token a sampled one, by Gumbel noise on the logits over a temperature.

    The largest of the sums is distributed as the softmax (Maddison et al., arXiv 1411.0030).
    """

    def __init__(self, seeds: Sequence[str], temperature: float) -> None:
        import torch

        self.temperature = temperature
        self.generators = [
            torch.Generator().manual_seed(_number(seed)) if seed else None for seed in seeds
        ]

    def __call__(self, so_far: Tensor, scores: Tensor) -> Tensor:
        """Return the scores `[texts, words]` with noise for texts that are sampled."""
        return scores + self._noise(scores).to(scores.device) * self.temperature

    def _noise(self, scores: Tensor) -> Tensor:
        import torch

        words = scores.shape[-1]
        rows = [
            torch.empty(words).exponential_(generator=generator).log().neg()
            if generator
            else torch.zeros(words)
            for generator in self.generators
        ]
        return torch.stack(rows)


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=7).digest(), "big")


def write(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    starts: Sequence[Start],
    new_tokens: int,
    temperature: float,
) -> list[Written]:
    """Continue all of them at once, by the model's own `generate` with a cache.

    The model's own generation settings, such as a penalty on repetition, do not count.
    """
    import torch

    ends = ends_of(model, tokenizer)
    ids, mask = _left_padded([start.ids for start in starts])
    settings = {
        "max_new_tokens": new_tokens,
        "eos_token_id": ends or None,
        "pad_token_id": ends[0] if ends else 0,
    }
    noise = GumbelNoise([start.seed for start in starts], temperature)
    with torch.no_grad(), generation_by(model, settings):
        output = model.generate(
            ids.to(model.device), attention_mask=mask.to(model.device), logits_processor=[noise]
        )
    new = output[:, ids.shape[1] :].tolist()
    return [_written(row, ends, tokenizer) for row in new]


def ends_of(model: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end a text."""
    own = model.generation_config
    end = own.eos_token_id if own and own.eos_token_id is not None else tokenizer.eos_token_id
    return list(end) if isinstance(end, (list, tuple)) else [] if end is None else [end]


def _left_padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    import torch

    length = max(map(len, rows))
    ids = [[0] * (length - len(row)) + list(row) for row in rows]
    mask = [[0] * (length - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


def _written(row: Sequence[int], ends: Sequence[int], tokenizer: Any) -> Written:
    last = next((i for i, token in enumerate(row) if token in ends), None)
    tokens = tuple(row if last is None else row[:last])
    text = str(tokenizer.decode(list(tokens), skip_special_tokens=True))
    return Written(tokens, last is not None, text)
