"""Speed and memory of two models that generate in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.core.options import option
from prunekit.plugins.commands.latency.timing import Generation, time_generation, weight_bytes

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

Watch: TypeAlias = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is over, and how much there is."""


@dataclass(frozen=True)
class Workload:
    """What is generated."""

    prompt_length: int = option(512, "tokens of the prompt", low=1)
    new_tokens: int = option(64, "tokens decoded one by one", low=1)
    batch_size: int = option(1, "sequences at once", low=1)
    repeats: int = option(10, "generations of each model", low=1)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over the repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Quartiles that lie within the values.

        >>> Spread.of([4.0, 1.0, 2.0, 3.0, 5.0])
        Spread(median=3.0, low=2.0, high=4.0)
        """
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def of_ratios(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """Of the ratios of values that were measured one after the other."""
        return cls.of([a / b for a, b in zip(above, below, strict=True)])


@dataclass(frozen=True)
class Timed:
    """How one model did. Speeds are in tokens per second, those of all sequences together."""

    parameters: int
    weight_bytes: int
    cache_bytes: int
    """of all sequences, at the end"""
    cache_bytes_per_token: float
    """of one sequence"""
    peak_bytes: int
    """weights, and the most that was added to them"""
    prefill: Spread
    decode: Spread
    prefill_seconds: tuple[float, ...]
    """of each repeat, in their order"""
    decode_seconds: tuple[float, ...]


def time_in_turns(
    models: Sequence[PreTrainedModel], workload: Workload, watch: Watch
) -> list[Timed]:
    """Let the models generate in turns, each once uncounted, so that a drift meets them alike.

    ConfigError where memory does not suffice.
    """
    import torch

    prompt = _prompt(models[0].config, workload).to(models[0].device)
    total = len(models) * (workload.repeats + 1)
    turns: list[list[Generation]] = [[] for _ in models]
    try:
        for turn in range(total):
            watch("warming up" if turn < len(models) else "timing", turn, total)
            which = turn % len(models)
            turns[which].append(time_generation(models[which], prompt, workload.new_tokens))
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            f"out of memory with {workload.batch_size} x {workload.prompt_length:,} tokens of "
            "prompt; choose a smaller --batch-size or --prompt-length"
        ) from error
    return [
        _timed(model, of_model[1:], workload) for model, of_model in zip(models, turns, strict=True)
    ]


def _timed(model: PreTrainedModel, turns: Sequence[Generation], workload: Workload) -> Timed:
    rows, held = workload.batch_size, workload.prompt_length + workload.new_tokens
    cache = turns[-1].cache_bytes
    added = [cache if turn.added_bytes is None else turn.added_bytes for turn in turns]
    prefill = tuple(turn.prefill_seconds for turn in turns)
    decode = tuple(turn.decode_seconds for turn in turns)
    return Timed(
        parameters=model.num_parameters(),
        weight_bytes=weight_bytes(model),
        cache_bytes=cache,
        cache_bytes_per_token=cache / (rows * held),
        peak_bytes=weight_bytes(model) + max(added),
        prefill=Spread.of([rows * workload.prompt_length / seconds for seconds in prefill]),
        decode=Spread.of([rows * workload.new_tokens / seconds for seconds in decode]),
        prefill_seconds=prefill,
        decode_seconds=decode,
    )


def _prompt(config: PretrainedConfig, workload: Workload) -> Tensor:
    """Words drawn at random, the same at every call, none of them special."""
    import torch

    plain = torch.ones(config.get_text_config().vocab_size)
    plain[sorted(_special(config, len(plain)))] = 0
    drawn = torch.multinomial(
        plain,
        workload.batch_size * workload.prompt_length,
        replacement=True,
        generator=torch.Generator().manual_seed(0),
    )
    return drawn.reshape(workload.batch_size, workload.prompt_length)


def _special(config: PretrainedConfig, words: int) -> set[int]:
    """Ends of texts, places of images and the like."""
    fields = [*config.get_text_config().to_dict().items(), *config.to_dict().items()]
    special: set[int] = set()
    for name, value in fields:
        if name.endswith(("_token_id", "_token_index")):
            special.update(value if isinstance(value, list) else [value])
    return {word for word in special if word is not None and 0 <= word < words}
