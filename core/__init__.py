"""Everything that a plugin may import, and nothing else."""

from prunekit.core.errors import (
    CheckpointError,
    ConfigError,
    PluginError,
    PrunekitError,
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
)
from prunekit.core.measurement import Piece
from prunekit.core.options import option
from prunekit.core.problem import DENSE, Problem, Subset

__all__ = [
    "DENSE",
    "IGNORE",
    "OWN_DTYPE",
    "PLUGIN_API",
    "Backend",
    "Batch",
    "CheckpointError",
    "ConfigError",
    "Meter",
    "ModelAdapter",
    "ModelFacts",
    "Objective",
    "Output",
    "Piece",
    "PluginError",
    "Problem",
    "PrunekitError",
    "Sample",
    "Search",
    "Searcher",
    "Spec",
    "Subset",
    "hookimpl",
    "option",
]
