"""What both models are to write: the options of `prunekit certify`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunekit.core.errors import ConfigError
from prunekit.core.options import option


@dataclass(frozen=True)
class Writing:
    """Texts after prompts, short exercises, and how both are sampled."""

    prompts: str = option("demo", "file of prompts to continue; demo: 32 that come with prunekit")
    plain_prompts: bool = option(False, "prompts as they are, without a chat template")
    new_tokens: int = option(96, "most tokens of a text", low=1)
    samples: int = option(2, "sampled texts after each prompt, beside the greedy one", low=0)
    temperature: float = option(0.7, "of the sampled texts", low=0)
    exercises: int = option(40, "of each kind: copying, arithmetic, counting", low=0)
    batch_size: int = option(16, "texts written at once", low=1)
    seed: int = option(0, "of the exercises and of sampling", low=0)

    def __post_init__(self) -> None:
        """Raise ConfigError for a temperature at which nothing is sampled."""
        if not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"--temperature {self.temperature}: expected a finite number above 0; for greedy "
                "texts alone give --samples 0",
                ("temperature",),
            )
