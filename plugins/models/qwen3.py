"""Qwen3."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from prunekit.core import hookimpl
from prunekit.plugins.models.decoder import DEMO_MODELS
from prunekit.plugins.models.llama_like import LlamaLike

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Qwen3(LlamaLike):
    """Qwen3 checkpoints, dense ones, with or without sliding-window layers."""

    name: ClassVar[str] = "qwen3"
    demo = DEMO_MODELS / "qwen3"

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """Its own family."""
        return 2 * (config.model_type == "qwen3")


@hookimpl
def prunekit_models() -> list[type]:
    return [Qwen3]
