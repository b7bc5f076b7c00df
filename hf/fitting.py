"""Fit the patches of a repair to a model, on samples that no search measures on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.batch import IGNORE, Batch, Sample
from prunekit.core.errors import ConfigError, blaming
from prunekit.core.interfaces import Objective
from prunekit.core.options import values_of
from prunekit.core.repair import Cut, Patch, Repair, check_patches
from prunekit.hf import streams
from prunekit.hf.apart import samples_apart, tokens_in
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.decoder import DecoderAdapter
from prunekit.hf.fold_proof import prove_folds
from prunekit.hf.identity import digest_of, digest_of_code
from prunekit.hf.repaired import RepairedAdapter
from prunekit.hf.streams import Streams, distance
from prunekit.hf.tokens import batches_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig

PATCH_MEMORY = 2 * 2**30
"""Bytes of patches that are kept for further subsets; others are fitted again."""
CHECKED = 4
"""One sample in this number is left out of the fit, to choose the strength of a patch on."""


@dataclass(frozen=True)
class Fitting:
    """A repair to be fitted where the model is loaded."""

    key: str
    """distinguishes it from other repairs, and from this one on other samples"""
    repair: Repair = field(compare=False)
    objectives: tuple[Objective, ...] = field(compare=False)
    """of the search; the data of the first is fitted on"""
    tokens: int = field(compare=False)
    """wanted to fit and check patches on"""
    times_held_out: Callable[[int], int] = field(compare=False)
    """how many times the samples of a calibration set are held out for finalists"""

    def applied(self, adapter: Any, checkpoint: Checkpoint, at_once: int) -> RepairedAdapter:
        """Return the adapter with patches that are fitted when a cut first needs one.

        Raises ConfigError if there is too little text, UnfitModel if patches cannot be folded.
        """
        prove_folds(adapter)
        fitted, checked = self.samples(checkpoint, adapter.model.config)
        batches = (batches_of(some, at_once) for some in (fitted, checked))
        patches = FittedPatches(self.repair, adapter, *batches)
        return RepairedAdapter(adapter, patches, self._identity([*fitted, *checked], at_once))

    def samples(
        self, checkpoint: Checkpoint, config: PretrainedConfig
    ) -> tuple[list[Sample], list[Sample]]:
        """Return the samples to fit on, and those to check on.

        Raises ConfigError if there are fewer tokens than the repair needs, or none to check on.
        """
        tokenizer = checkpoint.tokenizer()
        found = samples_apart(self.objectives, self.tokens, self.times_held_out, tokenizer)
        checked = found[::CHECKED]
        fitted = [sample for number, sample in enumerate(found) if number % CHECKED]
        self._check_enough(fitted, checked, config.get_text_config().hidden_size)
        return fitted, checked

    def _check_enough(
        self, fitted: Sequence[Sample], checked: Sequence[Sample], width: int
    ) -> None:
        with blaming("repair", self.repair):
            needed = self.repair.tokens_needed(width)
        to_fit, to_check = (sum(map(tokens_in, some)) for some in (fitted, checked))
        cure = "raise --repair-tokens" if to_fit + to_check >= self.tokens else "give more data"
        if to_fit < needed:
            raise ConfigError(
                f"repair {self.repair.name!r} has {to_fit:,} tokens to be fitted on and "
                f"{to_check:,} to be checked on, but a model of width {width:,} needs {needed:,} "
                f"to fit; {cure}"
            )
        if not any(bool((sample["targets"] != IGNORE).any()) for sample in checked):
            raise ConfigError(
                f"repair {self.repair.name!r}: no token of the samples it is checked on is to be "
                f"predicted; {cure}"
            )

    def _identity(self, samples: Sequence[Sample], at_once: int) -> str:
        """Return what changes whenever a patch might."""
        digest = hashlib.blake2b(digest_size=8)
        options = sorted(values_of(self.repair).items())
        code = (
            digest_of_code(type(self.repair)),
            digest_of([Path(__file__), Path(streams.__file__)]),
        )
        digest.update(repr((options, code, at_once)).encode())
        for sample in samples:
            digest.update(sample["input_ids"].numpy().tobytes())
        return f"{self.repair.name} {digest.hexdigest()}"


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
        self.width = adapter.model.config.get_text_config().hidden_size
        bytes_of_patch = self.width**2 * adapter.model.dtype.itemsize
        self._of_cut = lru_cache(max(1, PATCH_MEMORY // bytes_of_patch))(self._fit)

    def __call__(self, start: int, end: int) -> Patch:
        """Return the patch of a cut, the same at every call."""
        patch: Patch = self._of_cut(start, end)
        return patch

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

        dtype = self.adapter.model.dtype
        with blaming("repair", self.repair, but=torch.OutOfMemoryError):
            patches = check_patches(self.repair.patches(fitted), self.width)
            cast = [
                p if p.matrix is None else Patch(p.scale, p.matrix.detach().to(dtype))
                for p in patches
            ]
            return check_patches(cast, self.width)
