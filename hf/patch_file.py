"""Keep the patches of a run in a file of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.core.repair import Patch, check_patches
from prunekit.hf.fold_proof import prove_folds
from prunekit.hf.repaired import RepairedAdapter

Cuts: TypeAlias = Mapping[tuple[int, int], Patch]
"""Patches by the first block removed and the one after the cut."""


@dataclass(frozen=True)
class StoredPatches:
    """The patches in a file, for the one subset that they were fitted for."""

    path: str
    digest: str
    """of the file, so that another content counts as another model"""

    @classmethod
    def at(cls, path: Path, digest: str) -> StoredPatches:
        """Name the file of this digest. Raises ConfigError if it is missing or another one."""
        if not path.is_file():
            raise _damaged(path, "it is not there")
        try:
            found = digest_of_patches(path.read_bytes())
        except OSError as error:
            raise _damaged(path, f"it cannot be read: {error.strerror}") from error
        if found != digest:
            raise _damaged(path, "it is not the file that the search wrote")
        return cls(str(path.absolute()), digest)

    def applied(self, adapter: Any, checkpoint: Any, at_once: int) -> RepairedAdapter:
        """Return the adapter with these patches. Raises UnfitModel if they cannot be folded.

        Other cuts stay bare.
        """
        patches = read_patches(Path(self.path))
        device = adapter.model.device
        try:
            if patches:  # none, where the only cut is before the first block
                check_patches(patches.values(), adapter.model.config.get_text_config().hidden_size)
        except (TypeError, ValueError) as error:
            raise _damaged(Path(self.path), str(error)) from error
        moved = {
            cut: p if p.matrix is None else Patch(p.scale, p.matrix.to(device))
            for cut, p in patches.items()
        }
        prove_folds(adapter)
        repaired = RepairedAdapter(adapter, lambda i, j: moved.get((i, j), Patch()), self.digest)
        return repaired


def as_bytes(patches: Cuts) -> bytes:
    """Return the content of the file."""
    import torch
    from safetensors.torch import save

    tensors = {}
    for (start, end), patch in patches.items():
        tensors[f"{start}-{end}.scale"] = torch.tensor(patch.scale, dtype=torch.float64)
        if patch.matrix is not None:
            tensors[f"{start}-{end}.matrix"] = patch.matrix.cpu().contiguous()
    return save(tensors)


def read_patches(path: Path) -> dict[tuple[int, int], Patch]:
    """Read the file. Raises ConfigError if it is missing or damaged."""
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        cuts = {tuple(map(int, name.partition(".")[0].split("-"))) for name in tensors}
        return {
            (i, j): Patch(float(tensors[f"{i}-{j}.scale"]), tensors.get(f"{i}-{j}.matrix"))
            for i, j in sorted(cuts)
        }
    except Exception as error:
        raise _damaged(path, f"it holds something else ({type(error).__name__})") from error


def digest_of_patches(content: bytes) -> str:
    """Return what identifies a file by its content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _damaged(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path}: expected the patches of a run, but {why}; search again")
