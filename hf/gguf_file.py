"""A GGUF file: its metadata and where its tensors are, read without loading any of them.

The layout is that of ggml's `docs/gguf.md`, versions 2 and 3, little endian: a header, key-value
pairs, descriptions of tensors, then their data, each at a multiple of the alignment.
"""

from __future__ import annotations

import importlib.util
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core.errors import CheckpointError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""Of numbers, by their types in the file."""
ALIGNMENT, WIDEST = 32, 2**20
"""By default, and at most."""
MOST = 2**31
"""More entries than any file has; a larger count is damage."""
LONGEST_LIST = 4096
"""Longer arrays, such as vocabularies, are not decoded."""
PROVENANCE = "prunekit.provenance"
"""The key of what prunekit.json says of a folder."""


@dataclass(frozen=True)
class Field:
    """A value of the metadata."""

    kind: int
    """its type in the file"""
    raw: bytes
    """as it is in the file, after the type"""
    value: Any
    """None for an array of texts, or a long one"""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor is."""

    name: str
    shape: tuple[int, ...]
    kind: int
    """its type of ggml"""
    offset: int
    """from the start of the file"""
    size: int
    """in bytes"""


@dataclass(frozen=True)
class GgufFile:
    """Metadata and tensors of a file."""

    path: Path
    version: int
    fields: dict[str, Field]
    """in the order of the file"""
    tensors: tuple[StoredTensor, ...]
    alignment: int

    @property
    def architecture(self) -> str:
        """Return the name of the architecture; empty if the file has none."""
        return self.text("general.architecture") or ""

    def number(self, key: str) -> int | None:
        """Return a whole number of the metadata, None without one."""
        field = self.fields.get(key)
        return field.value if field and isinstance(field.value, int) else None

    def decimal(self, key: str) -> float | None:
        """Return a number of the metadata, None without one."""
        field = self.fields.get(key)
        return float(field.value) if field and isinstance(field.value, int | float) else None

    def text(self, key: str) -> str | None:
        """Return a text of the metadata, None without one."""
        field = self.fields.get(key)
        return field.value if field and isinstance(field.value, str) else None


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def number(self, letter: str) -> Any:
        (value,) = struct.unpack_from(f"<{letter}", self.data, self.at)
        self.at += struct.calcsize(f"<{letter}")
        return value

    def count(self) -> int:
        value = int(self.number("Q"))
        if value > MOST:
            raise ValueError(f"a count of {value:,}")
        return value

    def text(self) -> str:
        length = self.count()
        start, self.at = self.at, self.at + length
        if self.at > len(self.data):
            raise ValueError("a text beyond its end")
        return self.data[start : self.at].decode("utf-8", errors="replace")

    def field(self) -> Field:
        kind = self.number("I")
        start = self.at
        value = self._value(kind)
        return Field(kind, self.data[start : self.at], value)

    def _value(self, kind: int) -> Any:
        if kind in FORMATS:
            return self.number(FORMATS[kind])
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            raise ValueError(f"a value of type {kind}")
        of, length = self.number("I"), self.count()
        if of in FORMATS:
            return self._numbers(FORMATS[of], length)
        for _ in range(length):
            self._value(of)
        return None

    def _numbers(self, letter: str, length: int) -> list[Any] | None:
        start = self.at
        self.at += length * struct.calcsize(f"<{letter}")
        if self.at > len(self.data):
            raise ValueError("an array beyond its end")
        if length > LONGEST_LIST:
            return None
        return list(struct.unpack_from(f"<{length}{letter}", self.data, start))


def read_gguf(path: Path) -> GgufFile:
    """Read the metadata of a file.

    Raises CheckpointError if it is none, damaged or truncated, or if the package gguf is missing.
    """
    if importlib.util.find_spec("gguf") is None:
        raise CheckpointError(
            f'{path}: reading GGUF needs the package gguf; install it: pip install "prunekit[gguf]"'
        )
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(path, data)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, struct.error, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged or truncated as a GGUF file ({error}); download it again"
        ) from error


def _read(path: Path, data: mmap.mmap) -> GgufFile:
    if data[:4] != MAGIC:
        raise CheckpointError(f"{path} is no GGUF file: it does not begin with GGUF")
    reader = _Reader(data)
    reader.at = 4
    version = reader.number("I")
    if version not in VERSIONS:
        raise CheckpointError(
            f"{path} has version {version} of GGUF; prunekit reads 2 and 3, little endian"
        )
    n_tensors, n_fields = reader.count(), reader.count()
    fields = {}
    for _ in range(n_fields):
        key = reader.text()
        fields[key] = reader.field()
    described = [_description(reader) for _ in range(n_tensors)]
    aligned = fields.get("general.alignment")
    alignment = int(aligned.value) if aligned and isinstance(aligned.value, int) else ALIGNMENT
    if not 1 <= alignment <= WIDEST:
        raise ValueError(f"an alignment of {alignment}")
    start = _up(reader.at, alignment)
    tensors = tuple(_placed(described, start))
    if tensors and max(t.offset + t.size for t in tensors) > len(data):
        raise ValueError(f"{len(data):,} bytes, fewer than its tensors take")
    return GgufFile(path, version, fields, tensors, alignment)


def _description(reader: _Reader) -> tuple[str, tuple[int, ...], int, int]:
    name, dimensions = reader.text(), reader.number("I")
    if dimensions > 8:
        raise ValueError(f"a tensor of {dimensions} dimensions")
    shape = tuple(reader.number("Q") for _ in range(dimensions))
    return name, shape, reader.number("I"), reader.number("Q")


def _placed(
    described: list[tuple[str, tuple[int, ...], int, int]], start: int
) -> Iterator[StoredTensor]:
    import math

    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    for name, shape, kind, offset in described:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        yield StoredTensor(name, shape, kind, start + offset, math.prod(shape) // block * size)


def _up(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment
