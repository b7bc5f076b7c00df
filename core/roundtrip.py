"""The proof of an exported checkpoint: loaded by stock transformers, it is the pruned model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.checkpoint import first_line
from prunekit.core.errors import CheckpointError
from prunekit.core.interfaces import Batch, ModelAdapter
from prunekit.core.problem import Subset, words
from prunekit.core.proof import close, gap, probe

if TYPE_CHECKING:
    from torch import Tensor

CACHE_ROUNDING_UNITS = 64
"""Allowed difference of cached decoding: it adds up in another order than a forward in one go."""
PROBE, PROMPT = 24, 8


@dataclass(frozen=True)
class Expectation:
    """What the checkpoint must predict, and where: the bypassed model's logits for a probe."""

    batch: Batch
    logits: Tensor

    @classmethod
    def of(cls, adapter: ModelAdapter, removed: Subset) -> Expectation:
        """Ask the model itself, with the removed blocks bypassed."""
        import torch

        batch = probe(PROBE)
        with torch.no_grad():
            logits = adapter.reference(batch, removed)
        if not logits.isfinite().all():
            raise CheckpointError(
                f"without blocks {words(removed)} the model's predictions are not finite in "
                f"{logits.dtype}, so there is nothing to compare a checkpoint with; try --dtype"
            )
        return cls(batch, logits)


def check_checkpoint(folder: Path, expected: Expectation, trust_remote_code: bool) -> None:
    """Raise CheckpointError unless the folder loads whole and predicts what is expected."""
    import torch

    try:
        model = _load_whole(folder, expected, trust_remote_code)
        with torch.no_grad():
            _check_forward(model, expected)
            _check_cache(model, expected)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"the written checkpoint does not run with stock transformers: {first_line(error)}"
        ) from error


def _load_whole(folder: Path, expected: Expectation, trust_remote_code: bool) -> Any:
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=expected.logits.dtype,
        trust_remote_code=trust_remote_code,
        use_safetensors=True,
        output_loading_info=True,
    )
    model, report = loaded
    wrong = {kind: sorted(map(str, keys))[:3] for kind, keys in report.items() if keys}
    if wrong:
        raise CheckpointError(f"the written checkpoint does not load whole: {wrong}")
    return model.to(expected.logits.device).eval()


def _check_forward(model: Any, expected: Expectation) -> None:
    logits = model(input_ids=expected.batch.input_ids.to(model.device), use_cache=False).logits
    if not close(logits, expected.logits):
        raise CheckpointError(
            "the written checkpoint predicts something else than the model with these blocks "
            f"bypassed: logits differ by {gap(logits, expected.logits):.2g}"
        )


def _check_cache(model: Any, expected: Expectation) -> None:
    """Feed the probe token by token through the cache, as generation does."""
    import torch

    ids = expected.batch.input_ids.to(model.device)
    whole = model(input_ids=ids, use_cache=False).logits
    step = model(input_ids=ids[:, :PROMPT], use_cache=True)
    logits = [step.logits]
    for token in torch.split(ids[:, PROMPT:], 1, dim=1):
        step = model(input_ids=token, past_key_values=step.past_key_values, use_cache=True)
        logits.append(step.logits)
    cached = torch.cat(logits, 1)
    if not close(cached, whole, CACHE_ROUNDING_UNITS):
        raise CheckpointError(
            "the written checkpoint generates something else with a cache than without: logits "
            f"differ by {gap(cached, whole):.2g}"
        )
