"""The tensors of a checkpoint from the file headers: names, dtypes and shapes, no values."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError
from prunekit.hf.files import check_fetched, quantised, read_object

if TYPE_CHECKING:
    import torch

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PLAIN_NAME = re.compile(r"\w[\w.+=-]*\.safetensors")
"""A file beside the index: no path, no pickle."""
VARIANT = re.compile(r"model\.([A-Za-z]\w*)(-\d+-of-\d+)?\.safetensors")
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
FLOATING = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
}
"""The dtypes that a model can compute in, as safetensors spells them."""


WHOLE = ("I4", "U4", "I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64")
"""Integer dtypes, which quantised weights are stored in."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file of a checkpoint."""

    file: Path
    name: str
    dtype: str
    """as safetensors spells it"""
    shape: tuple[int, ...]
    size: int
    """bytes"""

    @property
    def count(self) -> int:
        """Return the number of elements."""
        return math.prod(self.shape)


def weight_names(folder: Path) -> list[str] | None:
    """Return the files from which transformers reads the weights, in order; None without any.

    A single file wins over an index beside it. Raises CheckpointError if the index is broken or
    names anything but a safetensors file beside it.
    """
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / INDEX).is_file():
        return sorted(set(_weight_map(folder / INDEX).values()))
    return None


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files.

    Raises CheckpointError if none is found, or if one is missing or only a pointer to it.
    """
    names = weight_names(folder)
    if names is None:
        raise CheckpointError(_nothing_to_read(folder))
    for name in names:
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: {INDEX} names {name}, which is missing; fetch it")
        check_fetched(folder / name)
    return [folder / name for name in names]


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Return every tensor of the checkpoint by name.

    Raises CheckpointError if a file is broken or contradicts the index.
    """
    files = weight_files(folder)
    found = {tensor.name: tensor for path in files for tensor in _read_head(path)}
    if files != [folder / WEIGHTS]:
        for name, file in _weight_map(folder / INDEX).items():
            if name not in found or found[name].file.name != file:
                raise CheckpointError(
                    f"{folder}: {INDEX} says that {file} holds {name!r}, which it does not; fetch "
                    "both again"
                )
    _check_plain(folder, found.values())
    return found


def _check_plain(folder: Path, tensors: Iterable[StoredTensor]) -> None:
    """Raise CheckpointError if weights are quantised without the configuration saying so."""
    for tensor in tensors:
        small = tensor.dtype.startswith(("F8", "F6", "F4"))
        if small or (tensor.dtype in WHOLE and tensor.name.endswith("weight")):
            raise quantised(folder, f"`{tensor.name}` is stored as {tensor.dtype}")


def prevailing_dtype(tensors: Mapping[str, StoredTensor]) -> torch.dtype | None:
    """Return the floating dtype with the most bytes; None if no tensor has one."""
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        if tensor.dtype in FLOATING:
            sizes[tensor.dtype] += tensor.size
    if not sizes:
        return None
    return dtype_called(FLOATING[sizes.most_common(1)[0][0]])


def dtype_called(name: str) -> torch.dtype:
    """Return the floating-point type of this name: `bfloat16`."""
    import torch

    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _weight_map(index: Path) -> dict[str, str]:
    """Return the file of each tensor."""
    found = read_object(index)
    for key in ("metadata", "weight_map"):  # transformers needs both
        if not isinstance(found.get(key), dict):
            raise CheckpointError(f"{index} holds no `{key}`; fetch it again")
    names: dict[str, str] = found["weight_map"]
    for name in names.values():
        if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
            raise CheckpointError(
                f"{index} names {name!r}; expected .safetensors files in the same folder, as "
                "model-00001-of-00002.safetensors: other files are never opened"
            )
    return names


def _read_head(path: Path) -> list[StoredTensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):  # checks the header
            pass
    except SafetensorError as error:
        raise CheckpointError(f"{path}: broken or cut short ({error}); fetch it again") from error
    with path.open("rb") as file:
        head: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    head.pop("__metadata__", None)
    if not all(isinstance(about, dict) for about in head.values()):
        raise CheckpointError(f"{path}: its header is not that of safetensors; fetch it again")
    return [
        StoredTensor(
            path,
            name,
            about["dtype"],
            tuple(about["shape"]),
            about["data_offsets"][1] - about["data_offsets"][0],
        )
        for name, about in head.items()
    ]


def _nothing_to_read(folder: Path) -> str:
    """Explain why a folder has no readable weights, and what to do."""
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    if not names:
        return (
            f"{folder} holds no .safetensors file; other formats are not read, since they can run "
            "code: load the model with transformers and save it again"
        )
    variant = next((found[1] for name in names if (found := VARIANT.fullmatch(name))), None)
    if variant:
        return (
            f"{folder} holds its weights only as the variant {variant!r}; load it with "
            f"transformers and variant={variant!r}, and save it again without"
        )
    if any(name.startswith("consolidated") for name in names):
        return (
            f"{folder} holds {names[0]}, a layout that transformers does not read; fetch the files "
            "model*.safetensors of the same model, or convert it"
        )
    if any(map(SHARD.fullmatch, names)):
        return f"{folder} holds {names[0]}, but no {INDEX}, which names all such files; fetch it"
    return (
        f"{folder} holds {names[0]!r}, but neither {WEIGHTS} nor {INDEX}, which transformers "
        "reads; load the model with transformers and save it again"
    )
