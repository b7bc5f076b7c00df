"""The text to heal on: what an objective draws from its data, some of it held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import Batch, Sample
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Objective
from prunekit.core.options import options_of
from prunekit.engine.samples import check_samples, digest_of_samples, drawn, samples_of
from prunekit.hf.tokens import batches_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

SHAPE = {"samples": 32, "length": 256, "packing": "stream"}
"""Options of an objective that have other defaults here: short windows that waste no text."""


@dataclass(frozen=True)
class Text:
    """Sequences to train on, and others on which what that gains is measured."""

    trained: Sequence[Sample]
    held_out: Sequence[Sample]

    @property
    def length(self) -> int:
        """Return the most tokens of a sequence."""
        return max(sample["input_ids"].shape[1] for sample in (*self.trained, *self.held_out))

    def digest(self) -> str:
        """Return what changes with any token."""
        return digest_of_samples(self.trained) + digest_of_samples(self.held_out)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return sequences to train on, padded to the longest of them."""
        return batch_of([self.trained[row] for row in rows])


def batch_of(samples: Sequence[Sample]) -> Batch:
    """Return samples as one batch, padded to the longest of them."""
    tokens = len(samples) * max(sample["input_ids"].shape[1] for sample in samples)
    (batch,) = batches_of(samples, tokens)
    return batch


def shaped(options: Mapping[str, Any], objective: type) -> dict[str, Any]:
    """Return options of an objective with `SHAPE` for those that it has and that are not given."""
    known = {option.name for option in options_of(objective)}
    return {**{name: value for name, value in SHAPE.items() if name in known}, **options}


def read_text(
    objective: Objective,
    tokens: int,
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
) -> Text:
    """Read the calibration set of an objective, which is held out, and text to train on beside it.

    That is `tokens` tokens, or what there is. Raises ConfigError if there is less of it than
    is held out, if the samples are not running text, or as `samples_of` does.
    """
    held_out = samples_of(objective, tokenizer, config)
    if any(sample["input_ids"].shape[0] > 1 for sample in held_out):
        raise ConfigError(
            f"--objective {objective.name}: its samples are items with several answers; expected "
            "one whose samples are text, as ppl",
            ("objective",),
        )
    size = sum(sample["input_ids"].shape[1] for sample in held_out)
    more = objective.held_out(max(1, math.ceil(tokens / size)))
    if more is None:
        raise _too_little(objective, len(held_out))
    try:
        trained = drawn(more, tokenizer)
    except ConfigError as error:
        raise _too_little(objective, len(held_out)) from error
    check_samples(trained, more, tokenizer, config)
    return Text(trained, held_out)


def _too_little(objective: Objective, held_out: int) -> ConfigError:
    name = objective.name
    data = getattr(objective, "data", "its data")
    return ConfigError(
        f"--{name}.data {data}: {held_out} sequences are held out, and fewer are left to train on; "
        f"give more text, or lower --{name}.samples or --{name}.length",
        (name, "data"),
    )
