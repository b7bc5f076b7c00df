"""A pruned model beside the dense one, with the weights in memory once."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.proof import close, gap
from prunekit.core.roundtrip import Expectation

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def dense_and_pruned(
    adapter: ModelAdapter, removed: Subset
) -> tuple[PreTrainedModel, PreTrainedModel]:
    """The adapter's model as it is, and one without the removed blocks that can use a cache.

    The pruned one is a copy of modules and configuration around the same tensors. CheckpointError
    where it does not predict what the model with bypassed blocks does.
    """
    import torch

    expected = Expectation.of(adapter, removed)
    with adapter.bypassing(DENSE) as dense:
        pass  # with nothing bypassed it is the model itself, and stays so
    pruned = sharing(adapter, dense).without(removed)
    with torch.no_grad():
        logits = pruned(expected.batch.input_ids.to(dense.device), use_cache=False).logits
    if not close(logits, expected.logits):
        raise CheckpointError(
            f"without blocks {words(removed)} this model predicts something else than with them "
            f"bypassed: logits differ by {gap(logits, expected.logits):.2g}"
        )
    return dense, pruned


def sharing(adapter: ModelAdapter, model: PreTrainedModel) -> ModelAdapter:
    """A copy in which every tensor of the model is the same object."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    shared: dict[int, Any] = {id(tensor): tensor for tensor in tensors}
    return copy.deepcopy(adapter, shared)
