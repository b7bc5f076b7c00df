"""Toy losses, and the small trained model on which checks run."""

from __future__ import annotations

import itertools
from functools import cache

from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.hf.checkpoint import DEMO
from prunekit.hf.loading import load_adapter


def toy_loss(removed: Subset) -> float:
    """Return a loss without a model: late blocks are cheap, neighbours cost extra.

    >>> toy_loss(frozenset({1, 9})) < toy_loss(frozenset({1, 2}))
    True
    """
    pairs = itertools.pairwise(sorted(removed))
    return sum(1.0 / (1 + i) for i in sorted(removed)) + 0.3 * sum(b - a == 1 for a, b in pairs)


def demo_spec() -> Spec:
    """Return the first family with a demo, on the CPU. Raises CheckpointError without any."""
    registry = load()
    entries = [e for e in registry.entries if e.kind == "model"]
    demos = sorted(registry.label(e) for e in entries if e.cls.demo)
    if not demos:
        raise CheckpointError("no model family with a demo checkpoint is installed to check on")
    return Spec(DEMO + demos[0], device="cpu", dtype="float32")


@cache
def demo_adapter() -> ModelAdapter:
    """Load the demo model once; it must not be changed."""
    return load_adapter(demo_spec())
