"""How to heal: the options of `prunekit heal`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from prunekit.core.errors import ConfigError
from prunekit.core.options import option
from prunekit.engine.variant import MEASURED_SETTINGS

ON_PROCESSOR, ON_GPU = 100_000, 5_000_000
"""Tokens by default: ten minutes of two cores for 100 million parameters; a night of a GPU."""
RANK = 16
RATES = {"lora": 1e-3, "last": 1e-4, "full": 1e-4}


OF_HEALING = (*MEASURED_SETTINGS, "objective", "seed")
"""The settings of a search that a training has."""


@dataclass(frozen=True)
class Training:
    """What is trained, on how much text, and against what."""

    tokens: int | None = option(
        None, "to train on; by default 100,000 on a processor, 5 million elsewhere", low=1
    )
    full: bool = option(False, "train all weights in place of LoRA")
    last: int | None = option(
        None, "train this number of last blocks, and the head, in place of LoRA", low=1
    )
    rank: int | None = option(
        None, "of LoRA, which is trained on all projections; by default 16", low=1
    )
    rate: float | None = option(
        None,
        "highest learning rate; by default 1e-3 for LoRA, 1e-4 for --last and --full",
        low=0,
    )
    distill: float = option(
        0.5,
        "share of the teacher in the loss, the rest is that on text; 0: no teacher",
        low=0,
        high=1,
    )
    keep_words: int = option(
        0, "likeliest words of the teacher to keep on disk in place of running it; 0: run it", low=0
    )
    batch_tokens: int = option(2048, "tokens of a step", low=1)
    checks: int = option(8, "times to measure held-out text and keep a checkpoint", low=1)
    patience: int = option(3, "checks without a gain after which to stop; 0: none", low=0)
    device_map: Literal["none", "auto", "disk"] = option(
        "none",
        "where the teacher lies: auto spreads it over devices, memory and disk; disk reads it from "
        "its files at every use",
    )
    recompute: bool = option(False, "keep no activations of blocks: less memory, more time")

    def __post_init__(self) -> None:
        """Raise ConfigError for options that exclude each other, and for an infinite rate."""
        ways = {"full": self.full, "last": self.last is not None, "rank": self.rank is not None}
        if len(chosen := [name for name, given in ways.items() if given]) > 1:
            words = " and ".join(f"--{name}" for name in chosen)
            raise ConfigError(f"{words}: different ways to train; give one of them", (chosen[0],))
        if self.keep_words and not self.distill:
            raise ConfigError(
                "--keep-words: without a teacher there are none; leave it out, or raise --distill",
                ("keep_words",),
            )
        if self.rate is not None and not math.isfinite(self.rate):
            raise ConfigError(f"--rate {self.rate}: expected a finite number", ("rate",))

    @property
    def method(self) -> str:
        """Return `lora`, `last` or `full`."""
        return "full" if self.full else "lora" if self.last is None else "last"

    @property
    def lora_rank(self) -> int:
        """Return the rank of LoRA."""
        return self.rank or RANK

    @property
    def learning_rate(self) -> float:
        """Return the highest learning rate."""
        return RATES[self.method] if self.rate is None else self.rate

    def tokens_on(self, device: str) -> int:
        """Return how many tokens to train on."""
        return self.tokens or (ON_PROCESSOR if device == "cpu" else ON_GPU)

    @property
    def words(self) -> str:
        """Say what is trained.

        >>> Training().words, Training(last=3).words, Training(full=True).words
        ('LoRA of rank 16', 'the last 3 blocks and the head', 'all weights')
        """
        if self.method == "lora":
            return f"LoRA of rank {self.lora_rank}"
        if self.last == 1:
            return "the last block and the head"
        return "all weights" if self.full else f"the last {self.last} blocks and the head"
