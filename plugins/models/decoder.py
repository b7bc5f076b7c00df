"""The old name of `prunekit.hf.decoder`, kept until version 0.3."""

import warnings

from prunekit.hf.decoder import DecoderAdapter as DecoderAdapter

_NEWS = "prunekit.plugins.models.decoder is now prunekit.hf.decoder"
warnings.warn(_NEWS, DeprecationWarning, stacklevel=2)
