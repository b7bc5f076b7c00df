"""The checkpoints of a training: kept whole or not at all, and read without running anything."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import StorageError, one_line

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "trained.safetensors"
WHOLE = "whole"
"""An empty file, written last."""


def step_of(folder: Path) -> int:
    """Return the step after which a checkpoint was written.

    >>> step_of(Path("checkpoint-40"))
    40
    """
    return int(folder.name.rpartition("-")[2])


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in order, whole or not."""
    found = [p for p in folder.glob("checkpoint-*") if p.name.rpartition("-")[2].isdecimal()]
    return sorted(found, key=step_of)


def last_whole(folder: Path) -> Path | None:
    """Return the last checkpoint to go on from; what is left of others is removed."""
    whole = [path for path in checkpoints_in(folder) if (path / WHOLE).exists()]
    keep_only(folder, whole)
    return whole[-1] if whole else None


def keep_only(folder: Path, wanted: Collection[Path]) -> None:
    """Remove all other checkpoints."""
    for path in checkpoints_in(folder):
        if path not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def save_trained(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the weights that are trained."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: w.detach().contiguous() for n, w in weights.items()}, folder / WEIGHTS)


def load_trained(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Read them back in place. Raises StorageError if the file is damaged or of other weights."""
    import torch
    from safetensors.torch import load_file

    with reading_back(folder):
        stored = load_file(folder / WEIGHTS)
        if stored.keys() != weights.keys():
            raise ValueError("it holds other weights than are trained")
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(stored[name])


@contextlib.contextmanager
def reading_back(folder: Path) -> Iterator[None]:
    """Raise StorageError if a checkpoint turns out to be damaged, or to hold more than numbers.

    Files of torch are read by a loader that runs nothing of what they hold.
    """
    try:
        yield
    except Exception as error:  # each library has errors of its own
        raise StorageError(
            f"{folder} cannot be read back: {one_line(error)[:200]}; remove it, and the same "
            "command goes on from the checkpoint before"
        ) from error


def could_not_write(folder: Path, error: Exception, before: Path | None) -> StorageError:
    """Return the error for a checkpoint that was not written, after removing its remains."""
    shutil.rmtree(folder, ignore_errors=True)
    kept = f"that of step {step_of(before)} is kept, and" if before else "none was before it;"
    reason: Any = getattr(error, "strerror", None) or one_line(error)
    return StorageError(
        f"cannot write {folder}: {reason}; {kept} the same command goes on once there is room"
    )
