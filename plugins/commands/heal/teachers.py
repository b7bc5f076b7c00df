"""The dense model as a teacher: run at every step, or once with its likeliest words kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from prunekit.core.batch import Batch, Sample
from prunekit.core.errors import StorageError
from prunekit.engine.files import write_bytes
from prunekit.hf.likeliest import likeliest
from prunekit.plugins.commands.heal.loss import logits_of
from prunekit.plugins.commands.heal.predictions import Likeliest, Predictions, Whole
from prunekit.plugins.commands.heal.text import batch_of

if TYPE_CHECKING:
    from torch import Tensor

IN_A_FILE = 32
"""Sequences whose words are in one file."""
FILLER = -30.0
"""A log-probability where a row is padded, where none counts."""


class Teacher(Protocol):
    """Predicts every token of the text to train on."""

    def predictions(self, batch: Batch, rows: Sequence[int]) -> Predictions:
        """Return the predictions at all places of a batch, which holds these sequences."""


class RunningTeacher:
    """The dense model, run on every batch."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predictions(self, batch: Batch, rows: Sequence[int]) -> Whole:
        """Run the model."""
        import torch

        with torch.no_grad():
            return Whole(logits_of(self.model, batch).flatten(0, 1))


class KeptTeacher:
    """The likeliest words of a model that was run before, read from a folder."""

    def __init__(self, folder: Path, vocabulary: int) -> None:
        self.folder, self.vocabulary = folder, vocabulary

    def predictions(self, batch: Batch, rows: Sequence[int]) -> Likeliest:
        """Read them. Raises StorageError if a file is damaged, or is that of another text."""
        import torch
        from torch.nn.functional import pad

        width = batch.input_ids.shape[1]
        words, logprobs = [], []
        for row, length in zip(rows, batch.attention_mask.sum(1).tolist(), strict=True):
            kept, likely = self._of(row, length)
            more = (0, 0, 0, width - length)
            words.append(pad(kept, more))
            logprobs.append(pad(likely, more, value=FILLER))
        return Likeliest(torch.cat(words), torch.cat(logprobs))

    def _of(self, row: int, length: int) -> tuple[Tensor, Tensor]:
        from safetensors import SafetensorError, safe_open

        path = file_of(self.folder, row)
        try:
            with safe_open(path, framework="pt") as file:
                kept = file.get_tensor(f"words.{row}")
                likely = file.get_tensor(f"logprobs.{row}")
            self._check(kept, likely, length)
        except (OSError, SafetensorError, ValueError) as error:
            raise StorageError(
                f"{path} cannot be read back: {error}; remove {self.folder}, and the same command "
                "writes it again"
            ) from error
        return kept, likely

    def _check(self, kept: Tensor, likely: Tensor, length: int) -> None:
        if kept.shape != likely.shape or kept.ndim != 2 or len(kept) != length:
            raise ValueError(f"it holds {list(kept.shape)} words, not some for {length} tokens")
        if kept.is_floating_point() or not likely.is_floating_point():
            raise ValueError("it holds other numbers")
        if int(kept.min()) < 0 or int(kept.max()) >= self.vocabulary:
            raise ValueError(f"it holds words beyond the {self.vocabulary:,} of the model")


def file_of(folder: Path, row: int) -> Path:
    """Return the file that holds the words of a sequence."""
    return folder / f"{row // IN_A_FILE:05}.safetensors"


def folder_name(identity: str, text: str, dtype: str, words: int) -> str:
    """Return the name of the folder for the words of a dense model on a text."""
    key = repr((identity, text, dtype, words))
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def keep_words(
    model: Any,
    samples: Sequence[Sample],
    words: int,
    folder: Path,
    at_once: int,
    progress: Callable[[int], None] = lambda done: None,
) -> KeptTeacher:
    """Run a model on all sequences and keep its likeliest words; files that are there are kept.

    Raises StorageError if one cannot be written.
    """
    from safetensors.torch import save

    for first in range(0, len(samples), IN_A_FILE):
        rows = range(first, min(first + IN_A_FILE, len(samples)))
        path = file_of(folder, first)
        if not path.exists():
            write_bytes(path, save(_words_of(model, samples, rows, words, at_once)))
        progress(rows.stop)
    return KeptTeacher(folder, model.get_output_embeddings().weight.shape[0])


def is_kept(folder: Path, samples: Sequence[Sample]) -> bool:
    """Return whether the words of all sequences are in the folder."""
    return all(file_of(folder, first).exists() for first in range(0, len(samples), IN_A_FILE))


def _words_of(
    model: Any, samples: Sequence[Sample], rows: range, words: int, at_once: int
) -> dict[str, Tensor]:
    import torch

    found: dict[str, Tensor] = {}
    step = max(1, at_once // max(samples[row]["input_ids"].shape[1] for row in rows))
    for first in range(rows.start, rows.stop, step):
        some = range(first, min(first + step, rows.stop))
        with torch.no_grad():
            logits = logits_of(model, batch_of([samples[row] for row in some]))
        for row, own in zip(some, logits, strict=True):
            length = samples[row]["input_ids"].shape[1]
            kept, likely = likeliest(own[:length].float(), words)
            found[f"words.{row}"] = kept.to("cpu", torch.int32)
            found[f"logprobs.{row}"] = likely.to("cpu", torch.float16)
    return found
