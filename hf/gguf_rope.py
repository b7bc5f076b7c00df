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
FLOAT32 = 0
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Of Llama 3.1, 3.2 and 3.3, which differ in their factor."""
CLOSE = 1e-4
"""How near divisors have to be, relative to each other."""


def is_scaled(file: GgufFile) -> bool:
    """Return whether the file says that its rotary embeddings are scaled."""
    kind = file.text(f"{file.architecture}.rope.scaling.type")
    return kind not in (None, "none") or any(tensor.name == DIVISORS for tensor in file.tensors)


def rope_scaling(file: GgufFile) -> dict[str, Any] | None:
    """Return the scaling as a configuration words it; None if there is none, or another kind."""
    kind = file.text(f"{file.architecture}.rope.scaling.type")
    divisors = _divisors(file)
    if divisors is None and kind == "linear":
        factor = file.decimal(f"{file.architecture}.rope.scaling.factor")
        return None if factor is None else {"rope_type": "linear", "factor": factor}
    base = file.decimal(f"{file.architecture}.rope.freq_base")
    if divisors is None or base is None or kind not in (None, "none"):
        return None
    found = {"rope_type": "llama3", "factor": max(divisors), **LLAMA3}
    expected = _llama3(base, len(divisors), max(divisors))
    alike = all(math.isclose(a, b, rel_tol=CLOSE) for a, b in zip(divisors, expected, strict=True))
    return found if alike else None


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
