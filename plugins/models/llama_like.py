"""The old name of `prunekit.hf.llama_like`, kept until version 0.3."""

import warnings

from prunekit.hf.llama_like import LlamaLike as LlamaLike

_NEWS = "prunekit.plugins.models.llama_like is now prunekit.hf.llama_like"
warnings.warn(_NEWS, DeprecationWarning, stacklevel=2)
