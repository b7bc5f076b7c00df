"""Keep what a model hands to a block as it was, to see later whether a block changed it."""

from __future__ import annotations

from typing import Any

DEPTH = 6
"""Containers within containers that are looked into; deeper ones are compared by identity."""


def snapshot(value: Any, depth: int = DEPTH) -> Any:
    """A copy of the tensors and containers in `value`; other things stay themselves."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if depth and isinstance(value, dict):
        return {key: snapshot(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [snapshot(item, depth - 1) for item in value]
    if depth and hasattr(value, "__dict__") and not isinstance(value, type | torch.nn.Module):
        return {"is": type(value), **snapshot(vars(value), depth - 1)}
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two snapshots hold the same numbers."""
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one is other or bool(one == other)
