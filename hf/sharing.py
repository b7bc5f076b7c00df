"""A pruned model beside the dense one, with the weights in memory once."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import DENSE, Subset, words
from prunekit.hf.proof import close, gap
from prunekit.hf.roundtrip import Expectation

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def dense_and_pruned(
    adapter: ModelAdapter, removed: Subset
) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Make the adapter's model anew twice, whole and without the removed blocks.

    Both come from `without`, so they differ in nothing but blocks and are in the state in which
    transformers loads a checkpoint. The adapter's own model is not: its weights need no gradient,
    and torch then takes another, on some processors much slower, path through the head. All three
    share their weights. Raises CheckpointError if either does not predict what the adapter's model
    does with the blocks bypassed.
    """
    with adapter.bypassing(DENSE) as model:
        pass  # with nothing bypassed it is the model itself, and stays so
    return _made_anew(adapter, model, DENSE), _made_anew(adapter, model, removed)


def _made_anew(adapter: ModelAdapter, model: PreTrainedModel, removed: Subset) -> PreTrainedModel:
    import torch

    expected = Expectation.of(adapter, removed)
    made = sharing(adapter, model).without(removed)
    with torch.no_grad():
        logits = made(expected.batch.input_ids.to(made.device), use_cache=False).logits
    if not close(logits, expected.logits):
        raise CheckpointError(
            f"made anew without blocks {words(removed)}, this model predicts something else than "
            f"with them bypassed: logits differ by {gap(logits, expected.logits):.2g}"
        )
    whole: PreTrainedModel = made
    return whole


def sharing(adapter: ModelAdapter, model: PreTrainedModel) -> ModelAdapter:
    """Copy the adapter, but keep every tensor of the model the same object."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    shared: dict[int, Any] = {id(tensor): tensor for tensor in tensors}
    return copy.deepcopy(adapter, shared)
