"""Signals: statistics of the dense model that searchers may need besides losses."""

from prunekit.plugins.searchers.signals.cosine import BOUNDARY_COSINE
from prunekit.plugins.searchers.signals.gates import GATE_GRADIENTS, GATE_HESSIAN, TAYLOR
from prunekit.plugins.searchers.signals.magnitude import RELATIVE_MAGNITUDE
from prunekit.plugins.searchers.signals.similarity import BLOCK_SIMILARITY

__all__ = [
    "BLOCK_SIMILARITY",
    "BOUNDARY_COSINE",
    "GATE_GRADIENTS",
    "GATE_HESSIAN",
    "RELATIVE_MAGNITUDE",
    "TAYLOR",
]
