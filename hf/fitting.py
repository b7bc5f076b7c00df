"""Fit the patches of a repair to a model, on samples that no search measures on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import Batch, Sample
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Objective
from prunekit.core.options import values_of
from prunekit.core.repair import Cut, Patch, Repair, check_patches
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.decoder import DecoderAdapter
from prunekit.hf.fold_proof import prove_folds
from prunekit.hf.identity import digest_of_code
from prunekit.hf.repaired import RepairedAdapter
from prunekit.hf.streams import Streams, distance
from prunekit.hf.tokens import batches_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_PATCHES = 128
"""Kept for further subsets; of a model of width 4,096, in 16 bits, they take 4 GB."""
CHECKED = 4
"""One sample in so many is left out of the fit, to choose the strength of a patch on."""


@dataclass(frozen=True)
class Fitting:
    """A repair to be fitted where the model is loaded."""

    key: str
    """tells it from other repairs, and from this one on other samples"""
    repair: Repair = field(compare=False)
    objective: Objective = field(compare=False)
    """whose data the samples are drawn from"""
    tokens: int = field(compare=False)
    """wanted to fit and check patches on"""
    tokens_per_forward: int = field(compare=False)
    times_held_out: Callable[[int], int] = field(compare=False)
    """how many times the samples of a calibration set are held out for others"""

    def applied(self, adapter: Any, checkpoint: Checkpoint) -> RepairedAdapter:
        """Return the adapter with patches that are fitted when a cut first needs one.

        Raises ConfigError if there is too little text, UnfitModel if patches cannot be folded.
        """
        samples = self._samples(checkpoint.tokenizer())
        checked = samples[::CHECKED]
        fitted = [s for number, s in enumerate(samples) if number % CHECKED]
        patches = FittedPatches(
            self.repair,
            adapter,
            *(batches_of(s, self.tokens_per_forward) for s in (fitted, checked)),
        )
        repaired = RepairedAdapter(adapter, patches, self._identity(samples))
        prove_folds(repaired)
        patches.check_enough()
        return repaired

    def _identity(self, samples: Sequence[Sample]) -> str:
        digest = hashlib.blake2b(digest_size=8)
        digest.update(digest_of_code(type(self.repair)).encode())
        digest.update(repr(sorted(values_of(self.repair).items())).encode())
        for sample in samples:
            digest.update(sample["input_ids"].numpy().tobytes())
        return f"{self.repair.name} {digest.hexdigest()}"

    def _samples(self, tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
        """Return samples that are neither in the calibration set nor among those held out."""
        with blaming("objective", self.objective):
            calibration = list(self.objective.calibration_set(tokenizer))
            reserved = self.times_held_out(len(calibration))
            wanted = reserved + math.ceil(self.tokens / sum(map(_tokens, calibration)))
            used = {_text(s) for s in calibration} | {
                _text(s) for s in self._held_out(reserved, tokenizer)
            }
            others = [s for s in self._held_out(wanted, tokenizer) if _text(s) not in used]
        return list(_until(others, self.tokens))

    def _held_out(self, times: int, tokenizer: PreTrainedTokenizerBase) -> Sequence[Sample]:
        held = self.objective.held_out(times)
        if held is None:
            raise ConfigError(
                f"the data of objective {self.objective.name!r} has nothing but its calibration "
                f"set, and {self.repair.name!r} is fitted on other text; give more data",
                (self.objective.name, "data"),
            )
        return held.calibration_set(tokenizer)


def _tokens(sample: Sample) -> int:
    return sample["input_ids"].numel()


def _text(sample: Sample) -> bytes:
    return bytes(sample["input_ids"].numpy().tobytes())


def _until(samples: Sequence[Sample], tokens: int) -> Iterator[Sample]:
    """Yield samples until they have so many tokens, or all."""
    taken = 0
    for sample in samples:
        if taken >= tokens:
            return
        taken += _tokens(sample)
        yield sample


class FittedPatches:
    """Gives the patch of a cut, fitted on the dense model's streams at the first request."""

    def __init__(
        self,
        repair: Repair,
        adapter: DecoderAdapter,
        fitted: Sequence[Batch],
        checked: Sequence[Batch],
    ) -> None:
        self.repair = repair
        self.adapter = adapter
        self.fitted = fitted
        self.checked = checked
        self._of_cut = lru_cache(MOST_PATCHES)(self._fit)

    def __call__(self, start: int, end: int) -> Patch:
        """Return the patch of a cut, the same at every call."""
        return self._of_cut(start, end)

    def __deepcopy__(self, memo: object) -> FittedPatches:
        """Return these: they never change, and copies of the adapter need no streams of theirs."""
        return self

    def _fit(self, start: int, end: int) -> Patch:
        return self.best(*(streams.cut(start, end) for streams in self.streams))

    @cached_property
    def streams(self) -> tuple[Streams, Streams]:
        """Those of the dense model, on the samples to fit and to check on."""
        return Streams.of(self.adapter, self.fitted), Streams.of(self.adapter, self.checked)

    def best(self, fitted: Cut, checked: Cut) -> Patch:
        """Return the patch that brings the stream of checked tokens nearest to the dense one."""
        return min(self.candidates(fitted), key=lambda patch: distance(checked, patch))

    def candidates(self, fitted: Cut) -> list[Patch]:
        """Return what the repair offers for a cut, in the dtype of the model."""
        import torch

        with blaming("repair", self.repair, but=torch.OutOfMemoryError):
            patches = check_patches(self.repair.patches(fitted), fitted.before.shape[-1])
        dtype = self.adapter.model.dtype
        return [p if p.matrix is None else Patch(p.scale, p.matrix.to(dtype)) for p in patches]

    def check_enough(self) -> None:
        """Raise ConfigError if there are fewer tokens than the repair needs."""
        width = self.adapter.model.config.get_text_config().hidden_size
        found = sum(int(batch.attention_mask.sum()) for batch in self.fitted)
        with blaming("repair", self.repair):
            needed = self.repair.tokens_needed(width)
        if found < needed:
            raise ConfigError(
                f"repair {self.repair.name!r} is fitted on {found:,} tokens, but a model of width "
                f"{width:,} needs {needed:,}; give more data, or raise --repair-tokens"
            )
