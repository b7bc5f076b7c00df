"""Verify an exported checkpoint: loaded by stock transformers, it is the pruned model."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import Batch
from prunekit.core.errors import CheckpointError, UnfitModel
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.problem import DENSE, Subset, words
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.proof import ROUNDING_UNITS, close, config_of, gap, probe
from prunekit.hf.readback import Proof
from prunekit.hf.reading import check_finite, dtype_name, read_model
from prunekit.hf.repaired import RepairedAdapter
from prunekit.hf.runnable import runnable

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

CACHE_ROUNDING_UNITS = 256
"""Tolerance of cached decoding, which sums in another order than a single forward pass."""
FOLDED_UNITS, FOLDED_UNITS_IN_16_BITS = 256, 16
"""Tolerance of weights that hold patches, which SmolLM2 needs 14 units of in float32."""
PROBE = 24
"""Tokens to predict; two thirds of them are the prompt of a generation."""

PLAIN = {"pad_token_id": 0}
"""Generation settings that ask for nothing special."""


@dataclass(frozen=True)
class Expectation:
    """A probe and the logits expected of the checkpoint: those of the bypassed model."""

    batch: Batch
    logits: Tensor
    repaired: bool = False
    trained: bool = False

    @property
    def rounding_units(self) -> float:
        """Allowed difference: weights that hold a patch are rounded once more than it."""
        if not self.repaired:
            return ROUNDING_UNITS
        return FOLDED_UNITS if self.logits.dtype.itemsize > 2 else FOLDED_UNITS_IN_16_BITS

    @classmethod
    def of(cls, adapter: ModelAdapter, removed: Subset) -> Expectation:
        """Run the model itself with the removed blocks bypassed."""
        import torch

        batch = probe(PROBE, config=config_of(adapter))
        with torch.no_grad():
            logits = adapter.reference(batch, removed)
        if not logits.isfinite().all():
            raise CheckpointError(
                f"without blocks {words(removed)} the model's predictions are not finite in "
                f"{dtype_name(logits.dtype)}, so there is nothing to compare a checkpoint with: "
                "the weights are damaged, or need another --dtype"
            )
        return cls(batch, logits, isinstance(adapter, RepairedAdapter))


def check_model(model: Any, expected: Expectation, dense: Any = None) -> Proof:
    """Return the proof that a model predicts the expected logits, with and without a cache.

    Raises UnfitModel unless it does, up to rounding.

    Raises CheckpointError if a weight is not finite, since a probe does not read all of them, or if
    the `dense` model does not generate either, so that no choice of blocks would help.
    """
    import torch
    import transformers

    check_finite(model)
    with torch.no_grad(), runnable("it does not run"):
        difference = _check_forward(model, expected)
    try:
        of_cache = _check_generation(model, expected.batch)
    except UnfitModel as error:
        if dense is not None:
            check_dense(dense)
        raise error
    return Proof(
        transformers=transformers.__version__,
        dtype=dtype_name(expected.logits.dtype),
        device=str(expected.logits.device),
        tokens=expected.batch.input_ids.shape[1],
        difference=difference,
        cache_difference=of_cache,
        repaired=expected.repaired,
        trained=expected.trained,
    )


def check_dense(model: Any) -> None:
    """Raise CheckpointError unless the dense model generates the same with a cache and without."""
    import transformers

    try:
        _check_generation(model, probe(PROBE, config=model.config))
    except UnfitModel as error:
        raise CheckpointError(
            f"{model.name_or_path} itself, with all its blocks, does not generate as it should "
            f"with transformers {transformers.__version__}, so no export of it can be verified: "
            f"{error}. Try another release of transformers"
        ) from error


def _check_generation(model: Any, batch: Batch) -> float | None:
    import torch

    with torch.no_grad(), runnable("it does not run"):
        return _check_cache(model, batch)


def check_checkpoint(folder: Path, expected: Expectation, source: Checkpoint) -> Proof:
    """Return the proof that the folder loads completely and predicts the expected logits.

    Raises CheckpointError unless it does. It is read as `source` is: with its code if that is
    trusted, and the same kernel of attention.
    """
    try:
        checkpoint = replace(source, source=str(folder), revision=None).opened()
        device, dtype = str(expected.logits.device), dtype_name(expected.logits.dtype)
        return check_model(read_model(checkpoint, device, dtype), expected)
    except CheckpointError as error:
        which = "trained" if expected.trained else "pruned"
        raise CheckpointError(
            f"the written checkpoint is not the {which} model: {error}"
        ) from error


def check_dtype(folder: Path, source: Checkpoint, asked: str | None) -> None:
    """Raise CheckpointError unless files and configuration have the requested dtype.

    Without a requested one, they must have those of `source`.
    """
    written = _dtypes(Checkpoint(str(folder), trust_remote_code=source.trust_remote_code))
    wanted = _dtypes(source) if asked is None else (asked, asked)
    if written != wanted:
        raise CheckpointError(
            f"the written checkpoint holds {written[0]} and its config.json says {written[1]}; "
            f"expected {wanted[0]} and {wanted[1]}"
        )


def _dtypes(checkpoint: Checkpoint) -> tuple[str, str]:
    """Return the dtype of the stored weights, and that in the configuration."""
    said = checkpoint.config().get_text_config().dtype
    return dtype_name(checkpoint.dtype()), str(said).removeprefix("torch.")


def _check_forward(model: Any, expected: Expectation) -> float:
    """Return the largest difference."""
    logits = model(input_ids=expected.batch.input_ids.to(model.device), use_cache=False).logits
    if not close(logits, expected.logits, expected.rounding_units):
        like = "in memory" if expected.trained else "with these blocks bypassed"
        raise UnfitModel(
            f"it predicts something else than the model {like}: logits differ "
            f"by {gap(logits, expected.logits):.2g}"
        )
    return gap(logits, expected.logits)


def _check_cache(model: Any, batch: Batch) -> float | None:
    """Generate the tokens of the probe with and without a cache, and compare the predictions.

    Returns the largest difference; None if a context of one token leaves none to generate.
    """
    if batch.input_ids.shape[1] == 1:
        return None
    with generation_by(model, PLAIN):
        whole, cached = (_dictated(model, batch, use) for use in (False, True))
    if not close(cached, whole, CACHE_ROUNDING_UNITS):
        raise UnfitModel(
            "it generates something else with a cache than without: logits differ by "
            f"{gap(cached, whole):.2g}"
        )
    return gap(cached, whole)


def _dictated(model: Any, batch: Batch, use_cache: bool) -> Tensor:
    """Return the predictions after each forced token of the probe, `[1, steps, words]`."""
    import torch

    ids = batch.input_ids.to(model.device)
    prompt = ids[:, : max(1, ids.shape[1] * 2 // 3)]
    steps = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=ids.shape[1] - prompt.shape[1],
        logits_processor=[lambda so_far, scores: _only(scores, ids[:, so_far.shape[1]])],
        output_logits=True,
        return_dict_in_generate=True,
        use_cache=use_cache,
    )
    return torch.stack(steps.logits, 1).to(model.dtype)


@contextlib.contextmanager
def generation_by(model: Any, settings: Mapping[str, Any]) -> Iterator[None]:
    """Replace the model's generation settings, such as a token that ends the text.

    Where they are given to `generate` instead, those of the model fill in what is a default.
    """
    from transformers import GenerationConfig

    chosen: Any = GenerationConfig(**settings)  # type: ignore[no-untyped-call]
    own, model.generation_config = model.generation_config, chosen
    try:
        yield
    finally:
        model.generation_config = own


def _only(scores: Tensor, tokens: Tensor) -> Tensor:
    """Return scores that allow one choice only."""
    forced = scores.new_full(scores.shape, float("-inf"))
    return forced.scatter(-1, tokens[:, None], 0.0)


def dense_and_pruned(
    adapter: ModelAdapter, removed: Subset
) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Rebuild the adapter's model twice, dense and without the removed blocks.

    Both come from `without`, so they differ only in their blocks and are in the state in which
    transformers loads a checkpoint. The adapter's own model is not: its weights require no
    gradient, for which torch takes another path through the head, much slower on some processors.
    All three share their weights. Raises CheckpointError if either does not predict the same as the
    adapter's model with the blocks bypassed.
    """
    with adapter.bypassing(DENSE) as model:
        pass  # with nothing bypassed it is the model itself
    return _made_anew(adapter, model, DENSE), _made_anew(adapter, model, removed)


def _made_anew(adapter: ModelAdapter, model: PreTrainedModel, removed: Subset) -> PreTrainedModel:
    import torch

    expected = Expectation.of(adapter, removed)
    made = sharing(adapter, model).without(removed)
    with torch.no_grad():
        logits = made(expected.batch.input_ids.to(made.device), use_cache=False).logits
    if not close(logits, expected.logits, expected.rounding_units):
        raise CheckpointError(
            f"rebuilt without blocks {words(removed)}, this model predicts something else than "
            f"with them bypassed: logits differ by {gap(logits, expected.logits):.2g}"
        )
    whole: PreTrainedModel = made
    return whole


def sharing(adapter: ModelAdapter, model: PreTrainedModel) -> ModelAdapter:
    """Copy the adapter, but keep every tensor of the model the same object."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    shared: dict[int, Any] = {id(tensor): tensor for tensor in tensors}
    return copy.deepcopy(adapter, shared)
