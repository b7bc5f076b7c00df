"""Read a checkpoint's weights, all of them and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunekit.core import OWN_DTYPE, CheckpointError
from prunekit.hf.checkpoint import Checkpoint, auto_class
from prunekit.hf.readable import readable

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def read_model(checkpoint: Checkpoint, device: str, dtype: str) -> PreTrainedModel:
    """The model on its device; CheckpointError where weights are missing, broken or left over."""
    config = checkpoint.config()
    with readable(checkpoint):
        loaded: Any = auto_class(config).from_pretrained(
            checkpoint.source,
            revision=checkpoint.revision,
            trust_remote_code=checkpoint.trust_remote_code,
            dtype=resolve_dtype(dtype, device, checkpoint),
            use_safetensors=True,
            output_loading_info=True,
        )
    model, report = loaded
    wrong = {k: sorted(map(str, v)) for k, v in report.items() if v}
    if wrong:
        what = "; ".join(f"{k.replace('_', ' ')}: {', '.join(v[:3])}" for k, v in wrong.items())
        raise CheckpointError(
            f"{checkpoint.source}: the weights do not fit the configuration ({what}); "
            "the checkpoint is damaged or belongs to another model"
        )
    whole: PreTrainedModel = model.to(device)
    return whole


def resolve_dtype(name: str, device: str, checkpoint: Checkpoint) -> torch.dtype:
    """`own` is the checkpoint's; `auto` is the same where the device runs it well, else float32."""
    import torch

    if name not in ("auto", OWN_DTYPE):
        return getattr(torch, name)  # type: ignore[no-any-return]
    own = checkpoint.dtype()
    return own if name == OWN_DTYPE or _runs(own, device) else torch.float32


def _runs(dtype: torch.dtype, device: str) -> bool:
    """Whether the device multiplies in `dtype`, instead of converting it at every step."""
    import torch

    if device == "cpu":
        able = torch.cpu.get_capabilities()
        return dtype is torch.bfloat16 and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    if dtype is torch.bfloat16 and device.startswith("cuda"):
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True
