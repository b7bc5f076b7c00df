"""The fallback for every decoder in transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from prunekit.core import hookimpl
from prunekit.hf import auto_class
from prunekit.hf.decoder import DecoderAdapter

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class HFDecoder(DecoderAdapter):
    """Any decoder of transformers: the model's own code, with blocks replayed one by one.

    A model whose blocks pass each other more than a hidden state is refused on load.
    """

    name: ClassVar[str] = "hf-decoder"

    @classmethod
    def handles(cls, config: PretrainedConfig) -> int:
        """Return 1 for every model that generates text; a family's own adapter wins."""
        return int(auto_class(config) is not None)


@hookimpl
def prunekit_models() -> list[type]:
    return [HFDecoder]
