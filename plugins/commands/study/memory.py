"""How much memory a model's searches take, from its configuration alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import OWN_DTYPE, Batch, Spec
from prunekit.hf.checkpoint import Checkpoint, first_line
from prunekit.hf.tensors import weight_names

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class Memory:
    """Bytes on the device, but for what a library takes for itself and for logits."""

    weights: int
    states: int
    """hidden states of one batch, one for each open branch of the shared prefixes"""


def memory_of(source: Checkpoint, spec: Spec, most_removed: int) -> Memory:
    """Of a model whose variants lose up to `most_removed` blocks.

    The dtype `auto` counts as the one the weights are stored in. CheckpointError where the model
    cannot be built.
    """
    config = source.config()
    own = config.get_text_config()
    width = _dtype(source, own, spec).itemsize
    branches = most_removed + 2  # the dense path, one more for each removal, and what is computed
    return Memory(
        weights=_parameters(config, spec) * width,
        states=branches * spec.tokens_per_forward * own.hidden_size * width,
    )


def bytes_of(batches: Sequence[Batch]) -> int:
    """What a calibration set takes in main memory."""
    tensors = [
        tensor
        for batch in batches
        for tensor in (batch.input_ids, batch.attention_mask, batch.targets, *batch.extra.values())
    ]
    return sum(tensor.nbytes for tensor in tensors)


def _parameters(config: PretrainedConfig, spec: Spec) -> int:
    """Counted on a model without weights."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            auto: Any = AutoModelForCausalLM
            model = auto.from_config(config, trust_remote_code=spec.trust_remote_code)
    except Exception as error:
        raise CheckpointError(
            f"{spec.model}: its parameters cannot be counted: {first_line(error)}"
        ) from error
    return int(model.num_parameters())


def _dtype(source: Checkpoint, config: PretrainedConfig, spec: Spec) -> torch.dtype:
    """Where no weights are here yet, the configuration is believed."""
    import torch

    named: Any = spec.dtype
    if named in ("auto", OWN_DTYPE):
        here = source.is_folder and weight_names(source.folder())
        named = source.dtype() if here else config.dtype
    dtype: torch.dtype = getattr(torch, named) if isinstance(named, str) else named or torch.float32
    return dtype
