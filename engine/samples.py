"""The samples that an objective draws from its data, checked, and their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunekit.core.batch import Sample
from prunekit.core.errors import ConfigError, blaming, described
from prunekit.core.interfaces import Objective
from prunekit.core.options import values_of
from prunekit.hf.checkpoint import context_length
from prunekit.hf.guard import Guard
from prunekit.hf.vocabulary import check_tokens

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


def samples_of(
    objective: Objective, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig
) -> list[Sample]:
    """Return the calibration set of an objective, for a model of this configuration.

    Raises ConfigError if its data has too little, and as `check_samples` does.
    """
    samples = drawn(objective, tokenizer)
    check_samples(samples, objective, tokenizer, config)
    return samples


def drawn(objective: Objective, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
    """Return the calibration set of an objective, whatever the model."""
    with blaming("objective", objective), Guard().watching():
        return list(objective.calibration_set(tokenizer))


def check_samples(
    samples: Sequence[Sample],
    objective: Objective,
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
) -> None:
    """Raise ConfigError without a sample, or if one does not fit a model of this configuration.

    That is if it exceeds the context, or has a token that the model lacks.
    """
    with blaming("objective", objective):
        longest = max(map(_length, samples), default=0)
    _check_length(longest, objective, context_length(config))
    check_tokens(samples, tokenizer, config, described("objective", objective))


def digest_of_samples(samples: Sequence[Sample]) -> str:
    """Return what changes with any number in them."""
    digest = hashlib.blake2b(digest_size=8)
    for sample in samples:
        for name in sorted(sample):
            digest.update(f"{name}{tuple(sample[name].shape)}".encode())
            digest.update(sample[name].cpu().numpy().tobytes())
    return digest.hexdigest()


def _length(sample: Sample) -> int:
    ids, targets = (list(sample[name].shape) for name in ("input_ids", "targets"))
    if ids != targets or len(ids) != 2:
        raise ValueError(
            f"`input_ids` and `targets` of a sample must both be [rows, length], not {ids} and "
            f"{targets}"
        )
    return ids[1]


def _check_length(longest: int, objective: Objective, context: int | None) -> None:
    name = objective.name
    if not longest:
        raise ConfigError(f"the objective {name!r} found no calibration sample; look at its data")
    if context is not None and longest > context:
        has_length = "length" in values_of(objective)
        cure = f"lower --{name}.length" if has_length else f"leave long ones out of --{name}.data"
        raise ConfigError(
            f"a calibration sample has {longest:,} tokens, the model's context holds "
            f"{context:,}; {cure}"
        )
