"""The scaling of rotary embeddings in a GGUF file, which transformers does not read from one.

Llama 3.1 and later have theirs as a divisor for each frequency, in a tensor that llama.cpp's
converter computes from the configuration; here the configuration is found again by its divisors.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from prunekit.hf.gguf_file import GgufFile

DIVISORS = "rope_freqs.weight"
TENSORS = ("rope_freqs", "rope_factors")
"""What tensors of a scaling begin with."""
FLOAT32 = 0
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Of Llama 3.1, 3.2 and 3.3, which differ in their factor."""
CLOSE = 1e-4
"""How near divisors have to be, relative to each other."""


def is_scaled(file: GgufFile) -> bool:
    """Return whether the file says that its rotary embeddings are scaled."""
    if any(tensor.name.startswith(TENSORS) for tensor in file.tensors):
        return True
    kind = _kind(file)
    return kind is not None and (kind != "linear" or _factor(file) != 1)


def rope_scaling(file: GgufFile) -> dict[str, Any] | None:
    """Return the scaling as a configuration words it; None if there is none, or another kind."""
    kind, divisors, factor = _kind(file), _divisors(file), _factor(file)
    if divisors is None:
        known = kind == "linear" and factor is not None and factor > 1
        return {"rope_type": "linear", "factor": factor} if known else None
    base = file.decimal(f"{file.architecture}.rope.freq_base")
    if base is None or kind is not None or min(divisors, default=0) < 1:
        return None
    found = {"rope_type": "llama3", "factor": max(divisors), **LLAMA3}
    expected = _llama3(base, len(divisors), max(divisors))
    alike = all(math.isclose(a, b, rel_tol=CLOSE) for a, b in zip(divisors, expected, strict=True))
    return found if alike else None


def _kind(file: GgufFile) -> str | None:
    """Return the kind that the file names, or that llama.cpp takes where it has a factor alone."""
    field = file.fields.get(f"{file.architecture}.rope.scaling.type")
    if field is None:
        return None if _factor(file) is None else "linear"
    return None if field.value == "none" else str(field.value)


def _factor(file: GgufFile) -> float | None:
    keys = ("scaling.factor", "scale_linear")  # the second one is of older files
    found = (file.decimal(f"{file.architecture}.rope.{key}") for key in keys)
    return next((factor for factor in found if factor is not None), None)


def _divisors(file: GgufFile) -> tuple[float, ...] | None:
    tensor = next((t for t in file.tensors if t.name == DIVISORS and t.kind == FLOAT32), None)
    if tensor is None:
        return None
    with file.path.open("rb") as source:
        source.seek(tensor.offset)
        return struct.unpack(f"<{tensor.size // 4}f", source.read(tensor.size))


def _llama3(base: float, count: int, factor: float) -> list[float]:
    """Return the divisors of `count` frequencies (Llama 3.1: the long waves are stretched)."""
    low, high, trained = LLAMA3.values()
    found = []
    for i in range(count):
        turns = trained / (2 * math.pi * base ** (i / count))  # in the context of the training
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        found.append(1 / ((1 - smooth) / factor + smooth))
    return found
