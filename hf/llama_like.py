"""Models built like Llama: a norm and a head at the end, two sub-layers in each block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prunekit.hf.blocks import field_of
from prunekit.hf.decoder import DecoderAdapter, DecoderState
from prunekit.hf.replay import hidden_in

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PretrainedConfig

__all__ = ["LlamaLike", "rope_kind"]


class LlamaLike(DecoderAdapter):
    """Call norm and head by name, and gate what each sub-layer adds to the residual stream."""

    def gated_block(self, index: int, state: DecoderState, gate: Tensor) -> DecoderState:
        """Run the block with the outputs of attention and feed-forward multiplied by `gate`."""
        block = self.blocks.modules[index]
        with _scaled(block.self_attn, gate), _scaled(block.mlp, gate):
            return self.block(index, state)

    def _tail(self, places: Tensor) -> Tensor:
        """Apply the final norm and head to hidden states `[places, width]` of the last block."""
        logits: Tensor = self.model.get_output_embeddings()(self.model.get_decoder().norm(places))
        return logits


@contextlib.contextmanager
def _scaled(module: torch.nn.Module, gate: Tensor) -> Iterator[None]:
    """Multiply the output of a module by a gate for each row."""

    def scale(module: Any, args: Any, output: Any) -> Any:
        hidden = hidden_in(output)
        scaled = (hidden * gate.to(hidden.device)[:, None, None]).to(hidden.dtype)
        return (scaled, *output[1:]) if isinstance(output, tuple) else scaled

    hook = module.register_forward_hook(scale)
    try:
        yield
    finally:
        hook.remove()


def rope_kind(config: PretrainedConfig) -> str:
    """Return the scaling of rotary embeddings: `default`, `llama3`, `linear`, ..."""
    parameters = field_of(config, "rope_parameters") or {}
    return str(parameters.get("rope_type", "default"))
