"""Models in torch and transformers: find, load, measure, verify, shorten and write them."""

from prunekit.hf.blocks import block_path
from prunekit.hf.checkpoint import Checkpoint, auto_class
from prunekit.hf.construction import rebuild, removal_check
from prunekit.hf.datasets import (
    check_file,
    file_rows,
    guarded,
    hub_rows,
    is_plain_text,
    is_table,
    stream_rows,
)
from prunekit.hf.documents import (
    Document,
    columns_in,
    documents_of_rows,
    is_missing,
    place_of,
    remark_on_skipped,
    rendered,
    text_column,
)
from prunekit.hf.likeliest import divergence, likeliest, overlap
from prunekit.hf.loading import load_adapter
from prunekit.hf.memory import memory_for_states
from prunekit.hf.prefix import PrefixMeter
from prunekit.hf.proof import probe
from prunekit.hf.reading import check_finite
from prunekit.hf.row_files import Row
from prunekit.hf.streams import token_weights
from prunekit.hf.tokens import (
    Beginning,
    first_tokens,
    negative_log_likelihood,
    perplexity,
    plain_tokens,
)
from prunekit.hf.unreadable import first_line, readable

__all__ = [
    "Beginning",
    "Checkpoint",
    "Document",
    "PrefixMeter",
    "Row",
    "auto_class",
    "block_path",
    "check_file",
    "check_finite",
    "columns_in",
    "divergence",
    "documents_of_rows",
    "file_rows",
    "first_line",
    "first_tokens",
    "guarded",
    "hub_rows",
    "is_missing",
    "is_plain_text",
    "is_table",
    "likeliest",
    "load_adapter",
    "memory_for_states",
    "negative_log_likelihood",
    "overlap",
    "perplexity",
    "place_of",
    "plain_tokens",
    "probe",
    "readable",
    "rebuild",
    "remark_on_skipped",
    "removal_check",
    "rendered",
    "stream_rows",
    "text_column",
    "token_weights",
]
