"""The API for plugins; docs/plugins/compatibility.md says what else they may rely on."""

import warnings
from importlib import import_module
from typing import Any

from prunekit.core.batch import IGNORE, Batch, Sample, TreeBatch
from prunekit.core.command import Command
from prunekit.core.errors import (
    CheckpointError,
    ConfigError,
    PluginError,
    PrunekitError,
    UnfitModel,
    blaming,
)
from prunekit.core.hookspecs import PLUGIN_API, hookimpl
from prunekit.core.interfaces import (
    Asking,
    Backend,
    Meter,
    ModelAdapter,
    Objective,
    Output,
    Search,
    Searcher,
    Signal,
    State,
    Table,
)
from prunekit.core.measurement import Piece
from prunekit.core.options import internal, option
from prunekit.core.problem import DENSE, Best, Part, Problem, Subset
from prunekit.core.repair import LEAST_SCALE, Cut, Patch, Repair
from prunekit.core.spec import OWN_DTYPE, ModelFacts, Spec
from prunekit.core.tracker import Tracker
from prunekit.core.trie import runs_of_each, walk

__all__ = [
    "DENSE",
    "IGNORE",
    "LEAST_SCALE",
    "OWN_DTYPE",
    "PLUGIN_API",
    "Asking",
    "Backend",
    "Batch",
    "Best",
    "CheckpointError",
    "Command",
    "ConfigError",
    "Cut",
    "Meter",
    "ModelAdapter",
    "ModelFacts",
    "Objective",
    "Output",
    "Part",
    "Patch",
    "Piece",
    "PluginError",
    "Problem",
    "PrunekitError",
    "Repair",
    "Sample",
    "Search",
    "Searcher",
    "Signal",
    "Spec",
    "State",
    "Subset",
    "Table",
    "Tracker",
    "TreeBatch",
    "UnfitModel",
    "blaming",
    "hookimpl",
    "internal",
    "option",
    "runs_of_each",
    "walk",
]


def __getattr__(name: str) -> Any:
    """Find the names that moved to `prunekit.hf`, until version 0.3."""
    if name.startswith("_") or name not in import_module("prunekit.hf").__all__:
        raise AttributeError(f"module 'prunekit.core' has no attribute {name!r}")
    warnings.warn(f"prunekit.core.{name} is now prunekit.hf.{name}", DeprecationWarning, 2)
    return getattr(import_module("prunekit.hf"), name)
