"""Draw samples that no search, and no choice among finalists, measures on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from prunekit.core.batch import Sample
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Objective

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def samples_apart(
    objectives: Sequence[Objective],
    tokens: int,
    times_held_out: Callable[[int], int],
    tokenizer: PreTrainedTokenizerBase,
) -> list[Sample]:
    """Return samples of the first objective's data with `tokens` tokens, or all that are left.

    They are neither in the calibration set of an objective nor among what is held out for
    finalists, `times_held_out` of the smallest of these sets. Raises ConfigError if the first
    objective holds nothing out.
    """
    first = objectives[0]
    sets = [_calibration(objective, tokenizer) for objective in objectives]
    reserved = times_held_out(min(map(len, sets)))
    used = {_text(sample) for samples in sets for sample in samples}
    for objective in objectives:
        used |= set(map(_text, _held_out(objective, reserved, tokenizer) or ()))
    wanted = reserved + math.ceil(tokens / sum(map(tokens_in, sets[0])))
    held = _held_out(first, wanted, tokenizer)
    if held is None:
        raise ConfigError(
            f"objective {first.name!r} holds no samples out beside its calibration set, and a "
            "repair is fitted on some; search without --repair, or with another objective",
            (first.name,),
        )
    return list(_until([sample for sample in held if _text(sample) not in used], tokens))


def _calibration(objective: Objective, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
    with blaming("objective", objective):
        return list(objective.calibration_set(tokenizer))


def _held_out(
    objective: Objective, times: int, tokenizer: PreTrainedTokenizerBase
) -> list[Sample] | None:
    with blaming("objective", objective):
        held = objective.held_out(times)
        return None if held is None else list(held.calibration_set(tokenizer))


def tokens_in(sample: Sample) -> int:
    """Return the number of tokens."""
    return sample["input_ids"].numel()


def _text(sample: Sample) -> bytes:
    return bytes(sample["input_ids"].numpy().tobytes())


def _until(samples: Sequence[Sample], tokens: int) -> Iterator[Sample]:
    """Yield samples until they have that number of tokens, or all."""
    taken = 0
    for sample in samples:
        if taken >= tokens:
            return
        taken += tokens_in(sample)
        yield sample
