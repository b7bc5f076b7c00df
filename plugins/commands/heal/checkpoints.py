"""The checkpoints of a training: kept whole or not at all, and read without running anything."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import StorageError, one_line
from prunekit.engine.plain import parse_json
from prunekit.engine.stored import check_fields

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, STATE = "trained.safetensors", "trainer_state.json"
WHOLE = "whole.json"
"""Written last: the sizes of all other files."""


@dataclass(frozen=True)
class History:
    """The losses on held-out text at the checks so far."""

    losses: Mapping[int, float]
    """by step, in order; infinite where they were not finite"""

    @classmethod
    def of(cls, log: list[dict[str, Any]]) -> History:
        """Take them from the log of transformers' Trainer."""
        found = {row["step"]: float(row["eval_loss"]) for row in log if "eval_loss" in row}
        return cls({s: x if math.isfinite(x) else math.inf for s, x in found.items()})

    @property
    def best(self) -> tuple[int, float]:
        """Return the step with the lowest loss, and that; step 0 if none was finite."""
        best = min(self.losses.items(), key=lambda item: item[1], default=(0, math.inf))
        return best if best[1] < math.inf else (0, math.inf)

    def is_over(self, patience: int) -> bool:
        """Return whether there was no gain at the last `patience` checks; with 0, never."""
        steps = list(self.losses)
        since = len(steps) - 1 - steps.index(self.best[0]) if self.best[0] else len(steps)
        return 0 < patience <= since


def step_of(folder: Path) -> int:
    """Return the step after which a checkpoint was written.

    >>> step_of(Path("checkpoint-40"))
    40
    """
    return int(folder.name.rpartition("-")[2])


def checkpoint_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / f"checkpoint-{step}"


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in order, whole or not."""
    found = [p for p in folder.glob("checkpoint-*") if p.name.rpartition("-")[2].isdecimal()]
    return sorted(found, key=step_of)


def last_whole(folder: Path) -> Path | None:
    """Return the last checkpoint to go on from; what is left of others is removed."""
    whole = [path for path in checkpoints_in(folder) if is_whole(path)]
    keep_only(folder, whole)
    return whole[-1] if whole else None


def is_whole(path: Path) -> bool:
    """Return whether all files of a checkpoint are there, as large as they were written."""
    try:
        sizes = parse_json((path / WHOLE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(sizes, dict) and sizes == _sizes(path)


def mark_whole(path: Path) -> None:
    """Write down that a checkpoint is whole."""
    (path / WHOLE).write_text(json.dumps(_sizes(path)) + "\n", encoding="utf-8")


def _sizes(path: Path) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in sorted(path.iterdir()) if p.name != WHOLE}


def keep_only(folder: Path, wanted: Collection[Path]) -> None:
    """Remove all other checkpoints."""
    for path in checkpoints_in(folder):
        if path not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def history_in(path: Path) -> History:
    """Read the losses so far. Raises StorageError if the file is not that of this checkpoint."""
    with reading_back(path):
        row = parse_json((path / STATE).read_text(encoding="utf-8"))
        check_fields(row, {"global_step": int, "log_history": tuple[Mapping[str, Any], ...]})
        if row["global_step"] != step_of(path):
            raise ValueError(f"global_step cannot be {row['global_step']}")
        return History.of(row["log_history"])


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
        reason = one_line(error).partition(". ")[0]
        raise StorageError(
            f"{folder} cannot be read back ({reason}); remove it, and the same command goes on "
            "from what is left"
        ) from error


def could_not_write(folder: Path, error: Exception, before: Path | None) -> StorageError:
    """Return the error for a checkpoint that was not written, after removing its remains."""
    shutil.rmtree(folder, ignore_errors=True)
    kept = f"that of step {step_of(before)} is kept, and" if before else "none was before it;"
    reason: Any = getattr(error, "strerror", None) or one_line(error)
    return StorageError(
        f"cannot write {folder}: {reason}; {kept} the same command goes on once there is room"
    )
