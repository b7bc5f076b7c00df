"""The steps of a training: which sequences at each, how many at once, and where it is checked."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError
from prunekit.engine.training import Training

if TYPE_CHECKING:
    import torch

WARMUP = 0.05
"""The share of steps on which the learning rate rises to its highest."""


@dataclass(frozen=True)
class Schedule:
    """The steps of a training."""

    order: Sequence[int]
    """the sequences of all steps, one after the other"""
    rows: int
    """sequences of a step"""
    rows_at_once: int
    """of these, how many run together"""
    length: int
    rate: float
    distill: float
    checks: int
    patience: int
    seed: int
    autocast: torch.dtype | None
    """in which products are computed, if that is not the dtype of the weights"""
    tokens_at_once: int

    def mixed(self, device: torch.device) -> AbstractContextManager[Any]:
        """Enter the computation of products in `autocast`; where that is None, nothing changes."""
        import torch

        dtype = self.autocast or torch.bfloat16
        return torch.autocast(device.type, dtype, enabled=self.autocast is not None)

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return len(self.order) // self.rows

    @property
    def parts(self) -> int:
        """Return in how many parts a step runs, whose gradients are added."""
        return self.rows // self.rows_at_once

    @property
    def every(self) -> int:
        """Return how many steps there are from one check to the next."""
        return max(1, math.ceil(self.steps / self.checks))

    @property
    def warmup(self) -> int:
        """Return the number of steps on which the learning rate rises; none of a short training."""
        return round(WARMUP * self.steps)

    def share_of_rate(self, step: int) -> float:
        """Return the learning rate after `step` steps, over the highest.

        It rises to 1, and falls like a cosine to 0 after the last step.
        """
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        return 0.5 + 0.5 * math.cos(math.pi * (step - self.warmup) / (self.steps - self.warmup + 1))

    @property
    def tokens_a_step(self) -> int:
        """Return the tokens of a step."""
        return self.rows * self.length


def schedule_of(
    training: Training,
    n_sequences: int,
    length: int,
    tokens: int,
    seed: int,
    tokens_at_once: int,
    autocast: torch.dtype | None,
) -> Schedule:
    """Plan to train on `tokens` tokens, in an order of the seed, each sequence before any twice.

    Raises ConfigError if there are fewer sequences than a step takes.
    """
    rows = rows_of(training, length)
    if n_sequences < rows:
        raise ConfigError(
            f"the text has {n_sequences} sequences of {length} tokens to train on, fewer than the "
            f"{rows} of a step; give more text, or lower --batch-tokens"
        )
    steps = max(1, tokens // (rows * length))
    if steps > training.checks:  # so that the last step is checked
        steps -= steps % training.checks
    return Schedule(
        order=order_of(n_sequences, steps * rows, seed),
        rows=rows,
        rows_at_once=divisor_up_to(rows, max(1, tokens_at_once // length)),
        length=length,
        rate=training.learning_rate,
        distill=training.distill,
        checks=training.checks,
        patience=training.patience,
        seed=seed,
        autocast=autocast,
        tokens_at_once=tokens_at_once,
    )


def rows_of(training: Training, length: int) -> int:
    """Return how many sequences of a length a step takes."""
    return max(1, training.batch_tokens // length)


def order_of(n: int, wanted: int, seed: int) -> list[int]:
    """Return `wanted` numbers below n; each pass over all of them is in an order of its own.

    >>> sorted(order_of(3, 5, seed=0)[:3]), len(order_of(3, 5, seed=0))
    ([0, 1, 2], 5)
    """
    chance = random.Random(seed)
    order: list[int] = []
    while len(order) < wanted:
        order += chance.sample(range(n), n)
    return order[:wanted]


def divisor_up_to(number: int, most: int) -> int:
    """Return the largest divisor that is not above a bound.

    >>> divisor_up_to(8, 5), divisor_up_to(7, 6), divisor_up_to(6, 9)
    (4, 1, 6)
    """
    return max(i for i in range(1, min(number, most) + 1) if number % i == 0)
