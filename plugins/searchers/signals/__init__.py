"""Signals: statistics of the dense model that searchers may need besides losses."""

from prunekit.plugins.searchers.signals.gates import GATE_GRADIENTS, GATE_HESSIAN
from prunekit.plugins.searchers.signals.similarity import BLOCK_SIMILARITY

__all__ = ["BLOCK_SIMILARITY", "GATE_GRADIENTS", "GATE_HESSIAN"]
