"""The tensors of a checkpoint, from the heads of its files: names, dtypes and sizes, no values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FLOATING = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
}
"""How safetensors spells the dtypes that a model can compute in."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file of a checkpoint."""

    file: Path
    name: str
    dtype: str
    """as safetensors spells it"""
    size: int
    """bytes"""


def read_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """Every tensor in these files, by name."""
    found: dict[str, StoredTensor] = {}
    for path in files:
        with path.open("rb") as file:
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        head.pop("__metadata__", None)
        for name, about in head.items():
            start, end = about["data_offsets"]
            found[name] = StoredTensor(path, name, about["dtype"], end - start)
    return found


def prevailing_dtype(tensors: Mapping[str, StoredTensor]) -> torch.dtype | None:
    """The floating dtype of most bytes; None if no tensor has one."""
    import torch

    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        if tensor.dtype in FLOATING:
            sizes[tensor.dtype] += tensor.size
    if not sizes:
        return None
    dtype: torch.dtype = getattr(torch, FLOATING[sizes.most_common(1)[0][0]])
    return dtype
