"""Llama 3.1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import hookimpl
from prunekit.hf.llama_like import LlamaLike, rope_kind

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Llama31(LlamaLike):
    """Llama checkpoints with llama3-scaled rotary embeddings: Llama 3.1 to 3.3."""

    name: ClassVar[str] = "llama31"
    demo = Path(__file__).parent / "demo-models" / "llama31"

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """Return 2 for Llama checkpoints with its own scaling of rotary embeddings."""
        return 2 * (config.model_type == "llama" and rope_kind(config) == "llama3")


@hookimpl
def prunekit_models() -> list[type]:
    return [Llama31]
