"""Read the weights of a checkpoint into a model; refuse incomplete or non-finite ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.spec import OWN_DTYPE
from prunekit.hf.checkpoint import Checkpoint, auto_class
from prunekit.hf.kinds import misfit
from prunekit.hf.tensors import dtype_called
from prunekit.hf.unreadable import readable

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel


def read_model(
    checkpoint: Checkpoint,
    device: str,
    dtype: str,
    placed: Mapping[str, Any] = MappingProxyType({}),
) -> PreTrainedModel:
    """Load the model. Raises CheckpointError if weights are missing, broken or unexpected.

    `placed` are arguments of `from_pretrained` that say where weights lie, if not on the device.
    """
    config = checkpoint.config()
    with readable(checkpoint):
        loaded: Any = auto_class(config).from_pretrained(
            checkpoint.source,
            revision=checkpoint.revision,
            trust_remote_code=checkpoint.trust_remote_code,
            dtype=resolve_dtype(dtype, device, checkpoint),
            use_safetensors=True,
            **checkpoint.kernels,
            **placed,
            output_loading_info=True,
        )
    model, report = loaded
    wrong = {k: sorted(map(str, v)) for k, v in report.items() if v}
    if wrong:
        what = "; ".join(f"{k.replace('_', ' ')}: {', '.join(v[:3])}" for k, v in wrong.items())
        raise CheckpointError(
            f"{checkpoint.source} does not load completely: the weights do not fit the "
            f"configuration ({what}); {misfit(config)}"
        )
    whole: PreTrainedModel = model if placed else model.to(device)
    return whole


def resolve_dtype(name: str, device: str, checkpoint: Checkpoint) -> torch.dtype:
    """Resolve `own` to the checkpoint's dtype, `auto` to the same or, if it is slow, float32."""
    import torch

    if name not in ("auto", OWN_DTYPE):
        return dtype_called(name)
    own = checkpoint.dtype()
    return own if name == OWN_DTYPE or _runs(own, device) else torch.float32


def _runs(dtype: torch.dtype, device: str) -> bool:
    """Return True if the device multiplies in `dtype` without conversion at every step."""
    import torch

    if device == "cpu":
        able = torch.cpu.get_capabilities()
        return dtype is torch.bfloat16 and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    if dtype is torch.bfloat16 and device.startswith("cuda"):
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


def check_finite(model: Any) -> None:
    """Raise CheckpointError if a weight is not finite."""
    for name, weight in model.named_parameters():
        if not _is_finite(weight):
            raise CheckpointError(
                f"`{name}` holds numbers that are not finite in {dtype_name(weight.dtype)}: the "
                "weights are damaged, or need another --dtype"
            )


def _is_finite(weight: Tensor) -> bool:
    """Check the extremes only, so that no second tensor of this size is allocated."""
    if not weight.numel() or not weight.is_floating_point():
        return True
    return all(bool(extreme.isfinite()) for extreme in weight.aminmax())


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype as options spell it: `float32`, `bfloat16`."""
    return str(dtype).removeprefix("torch.")
