"""Time one generation: prefill and decode apart, and what it holds in memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Generation:
    """One generation, measured."""

    prefill_seconds: float
    """from the prompt to the first token"""
    decode_seconds: float
    """for all the tokens after the first"""
    cache_bytes: int
    """held by the cache at the end"""
    added_bytes: int | None
    """the most that was allocated on top of what was there before; None but on cuda"""


@dataclass
class _Clock:
    """Is handed the prompt and then each token, once they are known on the host."""

    times: list[float] = field(default_factory=list)

    def put(self, tokens: Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing."""


def time_generation(model: PreTrainedModel, prompt: Tensor, new_tokens: int) -> Generation:
    """Feed `prompt` `[rows, length]`, then `new_tokens` tokens one by one, greedily.

    What generates is the model's own `generate`. The token after the prompt comes with the prefill,
    so each decoded token costs one forward of one token a row; no row ends early.
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
        cache_bytes=bytes_of(tensors_in(output.past_key_values)),
        added_bytes=peak - before if devices else None,
    )


def weight_bytes(model: PreTrainedModel) -> int:
    """What parameters and buffers take."""
    return bytes_of(itertools.chain(model.parameters(), model.buffers()))


def bytes_of(tensors: Iterator[Tensor]) -> int:
    """What these take, each counted once."""
    found = {id(tensor): tensor for tensor in tensors}
    return sum(tensor.numel() * tensor.element_size() for tensor in found.values())


def tensors_in(held: object) -> Iterator[Tensor]:
    """Every tensor in a cache, whatever its class: families have caches of their own."""
    import torch

    seen: set[int] = set()
    todo = [held]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            if item.dim():  # else it is a count
                yield item
        elif isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
        else:
            todo += getattr(item, "__dict__", {}).values()


def _cuda_devices(model: PreTrainedModel) -> set[Any]:
    return {p.device for p in model.parameters() if p.device.type == "cuda"}
