"""Everything specific to transformers: find, load, run, verify, shorten and write models."""

from prunekit.hf.blocks import block_path
from prunekit.hf.checkpoint import Checkpoint, auto_class, first_line, readable
from prunekit.hf.construction import rebuild, removal_check
from prunekit.hf.datasets import (
    check_file,
    file_rows,
    guarded,
    hub_rows,
    is_plain_text,
    text_column,
)
from prunekit.hf.loading import load_adapter
from prunekit.hf.proof import probe
from prunekit.hf.reading import check_finite
from prunekit.hf.tokens import (
    Beginning,
    first_tokens,
    negative_log_likelihood,
    perplexity,
    plain_tokens,
)

__all__ = [
    "Beginning",
    "Checkpoint",
    "auto_class",
    "block_path",
    "check_file",
    "check_finite",
    "file_rows",
    "first_line",
    "first_tokens",
    "guarded",
    "hub_rows",
    "is_plain_text",
    "load_adapter",
    "negative_log_likelihood",
    "perplexity",
    "plain_tokens",
    "probe",
    "readable",
    "rebuild",
    "removal_check",
    "text_column",
]
