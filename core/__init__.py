"""What plugins may import; what else they may lean on is in docs/plugins/compatibility.md."""

from prunekit.core.beginning import Beginning, first_tokens, plain_tokens
from prunekit.core.blocks import block_path
from prunekit.core.checkpoint import Checkpoint, auto_class
from prunekit.core.construction import removal_check
from prunekit.core.errors import (
    CheckpointError,
    ConfigError,
    PluginError,
    PrunekitError,
    UnfitModel,
)
from prunekit.core.hookspecs import PLUGIN_API, hookimpl
from prunekit.core.interfaces import (
    IGNORE,
    OWN_DTYPE,
    Backend,
    Batch,
    Meter,
    ModelAdapter,
    ModelFacts,
    Objective,
    Output,
    Sample,
    Search,
    Searcher,
    Spec,
    State,
)
from prunekit.core.likelihood import negative_log_likelihood, perplexity
from prunekit.core.loading import load_adapter
from prunekit.core.measurement import Piece
from prunekit.core.options import option
from prunekit.core.prefix import PrefixMeter
from prunekit.core.problem import DENSE, Problem, Subset
from prunekit.core.proof import probe
from prunekit.core.readable import first_line, readable
from prunekit.core.rebuild import rebuild
from prunekit.core.roundtrip import check_finite
from prunekit.core.rows import check_file, file_rows, guarded, hub_rows, is_plain_text, text_column
from prunekit.core.trie import runs_of_each, walk

__all__ = [
    "DENSE",
    "IGNORE",
    "OWN_DTYPE",
    "PLUGIN_API",
    "Backend",
    "Batch",
    "Beginning",
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "Meter",
    "ModelAdapter",
    "ModelFacts",
    "Objective",
    "Output",
    "Piece",
    "PluginError",
    "PrefixMeter",
    "Problem",
    "PrunekitError",
    "Sample",
    "Search",
    "Searcher",
    "Spec",
    "State",
    "Subset",
    "UnfitModel",
    "auto_class",
    "block_path",
    "check_file",
    "check_finite",
    "file_rows",
    "first_line",
    "first_tokens",
    "guarded",
    "hookimpl",
    "hub_rows",
    "is_plain_text",
    "load_adapter",
    "negative_log_likelihood",
    "option",
    "perplexity",
    "plain_tokens",
    "probe",
    "readable",
    "rebuild",
    "removal_check",
    "runs_of_each",
    "text_column",
    "walk",
]
