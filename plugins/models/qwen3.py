"""Qwen3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prunekit.core import hookimpl
from prunekit.hf.llama_like import LlamaLike

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Qwen3(LlamaLike):
    """Qwen3 checkpoints without experts, with or without sliding-window layers."""

    name: ClassVar[str] = "qwen3"
    demo = Path(__file__).parent / "demo-models" / "qwen3"

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """Return 2 for Qwen3 checkpoints."""
        return 2 * (config.model_type == "qwen3")


@hookimpl
def prunekit_models() -> list[type]:
    return [Qwen3]
