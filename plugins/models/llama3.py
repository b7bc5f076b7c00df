"""Llama 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import hookimpl
from prunekit.hf.llama_like import LlamaLike, rope_kind

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Llama3(LlamaLike):
    """Llama checkpoints with plain rotary embeddings: Llama 3, Llama 2 and relatives."""

    name: ClassVar[str] = "llama3"
    demo = Path(__file__).parent / "demo-models" / "llama3"

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """Return 2 for Llama checkpoints with plain rotary embeddings."""
        return 2 * (config.model_type == "llama" and rope_kind(config) == "default")


@hookimpl
def prunekit_models() -> list[type]:
    return [Llama3]
