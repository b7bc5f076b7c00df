"""Benchmark models that generate by turns: speed of prefill and decode, and memory."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import option
from prunekit.engine.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

"""Called with the current stage, the steps done and the total, which is None if unknown."""


@dataclass(frozen=True)
class Workload:
    """The generations to time."""

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
        """Compute quartiles that lie within the range of the values.

        >>> Spread.of([4.0, 1.0, 2.0, 3.0, 5.0])
        Spread(median=3.0, low=2.0, high=4.0)
        """
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def of_ratios(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """Summarize the ratios of values that were measured one after the other."""
        return cls.of([a / b for a, b in zip(above, below, strict=True)])


@dataclass(frozen=True)
class Timed:
    """The measurements of one model; speeds are tokens per second, summed over the batch."""

    parameters: int
    weight_bytes: int
    cache_bytes: int
    """at the end, for the whole batch"""
    cache_bytes_per_token: float
    """of one sequence"""
    peak_bytes: int
    """weights, plus the largest amount allocated on top of them"""
    prefill: Spread
    decode: Spread
    prefill_seconds: tuple[float, ...]
    """by repeat"""
    decode_seconds: tuple[float, ...]


@dataclass(frozen=True)
class Generation:
    """The measurements of one generation."""

    prefill_seconds: float
    """from the prompt to the first token"""
    decode_seconds: float
    """for all tokens after the first"""
    cache_bytes: int
    """at the end"""
    added_bytes: int | None
    """largest amount allocated beyond what was allocated before; known on cuda only"""


def time_in_turns(
    models: Sequence[PreTrainedModel], workload: Workload, progress: Progress
) -> list[Timed]:
    """Let the models generate by turns, so that clock drift affects all of them alike.

    The first generation of each is a warm-up and does not count. Raises ConfigError if the device
    runs out of memory.
    """
    import torch

    prompt = _prompt(models[0].config, workload).to(models[0].device)
    total = len(models) * (workload.repeats + 1)
    turns: list[list[Generation]] = [[] for _ in models]
    try:
        for turn in range(total):
            what = "warming up" if turn < len(models) else "timing"
            progress.count(what, turn, total, "generations")
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
    rows, length = workload.batch_size, workload.prompt_length + workload.new_tokens
    weights = sum(x.nbytes for x in itertools.chain(model.parameters(), model.buffers()))
    cache = turns[-1].cache_bytes
    added = [cache if turn.added_bytes is None else turn.added_bytes for turn in turns]
    prefill = tuple(turn.prefill_seconds for turn in turns)
    decode = tuple(turn.decode_seconds for turn in turns)
    return Timed(
        parameters=model.num_parameters(),
        weight_bytes=weights,
        cache_bytes=cache,
        cache_bytes_per_token=cache / (rows * length),
        peak_bytes=weights + max(added),
        prefill=Spread.of([rows * workload.prompt_length / seconds for seconds in prefill]),
        decode=Spread.of([rows * workload.new_tokens / seconds for seconds in decode]),
        prefill_seconds=prefill,
        decode_seconds=decode,
    )


def time_generation(model: PreTrainedModel, prompt: Tensor, new_tokens: int) -> Generation:
    """Feed `prompt` `[rows, length]`, then decode `new_tokens` tokens greedily.

    This is the model's own `generate`. The first new token comes from the prefill, so each decoded
    token costs one forward of one token per row; no row ends early.
    """
    import torch

    clock, devices = _Clock(), _cuda_devices(model)
    before = sum(torch.cuda.memory_allocated(device) for device in devices)
    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)
    output: Any = model.generate(  # type: ignore[operator]
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        num_beams=1,
        use_cache=True,
        return_dict_in_generate=True,
        min_new_tokens=new_tokens + 1,
        max_new_tokens=new_tokens + 1,
        streamer=clock,
    )
    peak = sum(torch.cuda.max_memory_allocated(device) for device in devices)
    given, first, *_, last = clock.times
    return Generation(
        prefill_seconds=first - given,
        decode_seconds=last - first,
        cache_bytes=sum(tensor.nbytes for tensor in tensors_in(output.past_key_values)),
        added_bytes=peak - before if devices else None,
    )


@dataclass
class _Clock:
    """A streamer: `generate` passes it the prompt, then each token as soon as the host has it."""

    times: list[float] = field(default_factory=list)

    def put(self, tokens: Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Do nothing."""


def tensors_in(cache: object) -> Iterator[Tensor]:
    """Yield each tensor in a cache once, whatever its class: some families have their own."""
    import torch

    seen: set[int] = set()
    todo = [cache]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            if item.dim():  # else it is a counter
                yield item
        elif isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
        else:
            todo += getattr(item, "__dict__", {}).values()


def _cuda_devices(model: PreTrainedModel) -> set[Any]:
    return {p.device for p in model.parameters() if p.device.type == "cuda"}


def _prompt(config: PretrainedConfig, workload: Workload) -> Tensor:
    """Draw tokens at random, the same in every run and none of them special."""
    import torch

    plain = torch.ones(config.get_text_config().vocab_size)
    plain[sorted(_special_tokens(config, len(plain)))] = 0
    shape = workload.batch_size, workload.prompt_length
    generator = torch.Generator().manual_seed(0)
    count = workload.batch_size * workload.prompt_length
    return torch.multinomial(plain, count, replacement=True, generator=generator).reshape(shape)


def _special_tokens(config: PretrainedConfig, vocab_size: int) -> set[int]:
    """Find the tokens for ends of texts, images and the like that the configuration names."""
    found: set[int] = set()
    for name, value in [*config.get_text_config().to_dict().items(), *config.to_dict().items()]:
        if name.endswith(("_token_id", "_token_index")):
            found.update(value if isinstance(value, list) else [value])
    return {token for token in found if token is not None and 0 <= token < vocab_size}
