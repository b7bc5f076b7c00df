"""The weights of a model before it is loaded: their number and size, and what its blocks have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.spec import OWN_DTYPE, Spec
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.parameters import ParameterCounts, count_parameters
from prunekit.hf.reading import dtype_name
from prunekit.hf.tensors import dtype_called, weight_names

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class Weights:
    """Parameters, and the dtype that they have."""

    counts: ParameterCounts
    dtype: str
    width: int
    """bytes of a parameter"""

    @property
    def bytes(self) -> int:
        """Of all weights."""
        return self.counts.total * self.width

    def removal(self, removable: Sequence[int], budget: int) -> Removal:
        """Return what goes at least with any `budget` of these blocks."""
        sizes = sorted(self.counts.of_blocks[i] for i in removable)
        least = sum(sizes[:budget])
        return Removal(
            parameters=least,
            of_parameters=self.counts.total,
            at_least=least != sum(sizes[-budget:]),
            dtype=self.dtype,
            bytes=least * self.width,
        )


@dataclass(frozen=True)
class Removal:
    """What goes with a number of blocks, in other units."""

    parameters: int
    of_parameters: int
    at_least: bool
    """whether other blocks of the same number would take more parameters"""
    dtype: str
    bytes: int
    """of the removed parameters, in this dtype"""


def weights_of(checkpoint: Checkpoint, config: PretrainedConfig, spec: Spec) -> Weights:
    """Count the weights of a model that is not loaded.

    The dtype `auto` counts as that in which they are stored. Raises CheckpointError if the model
    cannot be built.
    """
    dtype = dtype_of(checkpoint, config, spec)
    counts = count_parameters(config, spec.trust_remote_code, spec.model)
    return Weights(counts, dtype_name(dtype), dtype.itemsize)


def weights_if_countable(
    checkpoint: Checkpoint, config: PretrainedConfig, spec: Spec
) -> Weights | None:
    """Count the weights as `weights_of` does; None for a family that only builds what it loads."""
    try:
        return weights_of(checkpoint, config, spec)
    except CheckpointError:
        return None


def dtype_of(checkpoint: Checkpoint, config: PretrainedConfig, spec: Spec) -> torch.dtype:
    """Return the dtype of the weights, or that of the configuration if they are not local."""
    import torch

    named: Any = spec.dtype
    if named in ("auto", OWN_DTYPE):
        here = checkpoint.is_folder and weight_names(checkpoint.folder())
        named = checkpoint.dtype() if here else config.get_text_config().dtype
    return dtype_called(named) if isinstance(named, str) else named or torch.float32
