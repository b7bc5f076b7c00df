"""`config.json` of a pruned checkpoint: its fields, its dtype, its style."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prunekit.core.problem import Subset
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.layer_fields import text_config
from prunekit.hf.old_style import add_old_style
from prunekit.hf.pruned_config import nested, pruned_fields
from prunekit.hf.side_files import in_style_of, without_code

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FILE = "config.json"
DTYPES = ("dtype", "torch_dtype")
"""How a dtype is called; every release reads the second."""


def config_json(checkpoint: Checkpoint, removed: Subset, dtype: str | None) -> str:
    """The text of `config.json` without these blocks: else that of the source, in its style.

    With a dtype, that is what it says. Raises UnfitModel where it cannot say which blocks stay.
    """
    text = (checkpoint.folder() / FILE).read_text(encoding="utf-8")
    config = checkpoint.config()
    fields = pruned_fields(json.loads(text), config, removed)
    if dtype is not None:
        _say_dtype(fields, config, dtype)
    add_old_style(fields, config)
    return in_style_of(text, fields if checkpoint.trust_remote_code else without_code(fields))


def _say_dtype(fields: dict[str, Any], config: PretrainedConfig, dtype: str) -> None:
    """Say it wherever the dtype of the whole is said; a part with a dtype of its own keeps that."""
    _, path = text_config(config)
    of_the_whole = {part.get(key) for part in nested(fields, path) for key in DTYPES} - {None}
    below = [fields[name] for name in config.sub_configs if isinstance(fields.get(name), dict)]
    for part in (fields, *below):
        part.update((key, dtype) for key in DTYPES if part.get(key) in of_the_whole)
    if not of_the_whole:
        fields[DTYPES[-1]] = dtype
