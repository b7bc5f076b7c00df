"""Write a GGUF file without some of its blocks: every tensor that stays as it is, byte for byte.

Nothing is quantised anew, and no more than a piece of one tensor is in memory.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from prunekit.core.errors import CheckpointError, UnfitModel
from prunekit.core.problem import Subset
from prunekit.hf.gguf_file import (
    ARRAY,
    FORMATS,
    MAGIC,
    PROVENANCE,
    STRING,
    Field,
    GgufFile,
    StoredTensor,
    read_gguf,
)
from prunekit.hf.layer_fields import Kept

BLOCK = re.compile(r"blk\.(\d+)\.(.*)", re.DOTALL)
COUNT = "block_count"
FIRST = ("leading_dense_block_count",)
"""Keys that count the first blocks of a kind."""
PERIODS = (
    *("attention.sliding_window_pattern", "full_attention_interval", "attention.global_interval"),
    *("interleave_moe_layer_step", "attention.recurrent_interval"),
)
"""Keys that say after how many blocks their kinds repeat."""
NOT_PER_BLOCK = ("rope.dimension_sections", "rope.mrope_sections")
"""Arrays that are about something else, however long they are."""
PIECE = 2**24


def write_pruned_gguf(file: GgufFile, removed: Subset, record: str, to: Path) -> None:
    """Write the file without these blocks, and compare it with its source.

    Its metadata gets the `record` of what was removed, which llama.cpp passes over.

    Raises UnfitModel if its metadata cannot say which blocks stay, CheckpointError if a tensor that
    was written is not that of the source; OSError if it cannot be written.
    """
    kept = Kept.without(removed, blocks_of(file))
    fields = shortened(file, kept) | {PROVENANCE: Field(STRING, _text(record), record)}
    tensors = list(_renamed(file, kept))
    with file.path.open("rb") as source, to.open("xb") as target:
        _write_head(file, fields, tensors, target)
        for _, tensor in tensors:
            _pad(target, file.alignment)
            for piece in _pieces(source, tensor):
                target.write(piece)
        _pad(target, file.alignment)
        target.flush()
        os.fsync(target.fileno())
    _compare(file, fields, tensors, to)


def blocks_of(file: GgufFile) -> int:
    """Return how many blocks it has. Raises CheckpointError if it does not say, or lacks one."""
    count = file.number(f"{file.architecture}.{COUNT}")
    there = {int(found[1]) for t in file.tensors if (found := BLOCK.fullmatch(t.name))}
    if count is None or there != set(range(count)):
        raise CheckpointError(
            f"{file.path}: its metadata has {count} blocks and its tensors {len(there)}; it cannot "
            "be shortened"
        )
    return count


def shortened(file: GgufFile, kept: Kept) -> dict[str, Field]:
    """Return its metadata for fewer blocks: every array with an entry per block is shortened.

    Raises UnfitModel if a number that says where kinds of blocks repeat would be wrong.
    """
    prefix = f"{file.architecture}."
    return {
        key: _shortened(key.removeprefix(prefix), field, kept) if key.startswith(prefix) else field
        for key, field in file.fields.items()
    }


def _shortened(name: str, field: Field, kept: Kept) -> Field:
    if name == COUNT:
        return _with_number(field, len(kept.blocks))
    if name in FIRST and isinstance(field.value, int):
        return _with_number(field, sum(block < field.value for block in kept.blocks))
    if name in PERIODS and isinstance(field.value, int):
        period = max(1, field.value)
        if any(new % period != old % period for new, old in enumerate(kept.blocks)):
            raise UnfitModel(
                f"kinds of blocks repeat after {period} ({name}), and the remaining blocks do not; "
                "search with --keep-pattern"
            )
    if field.kind == ARRAY and name not in NOT_PER_BLOCK:
        entries = _entries(field)
        if len(entries) == kept.total:
            of = field.raw[:4]
            raw = b"".join(entries[block] for block in kept.blocks)
            values = field.value and [field.value[block] for block in kept.blocks]
            return Field(ARRAY, of + struct.pack("<Q", len(kept.blocks)) + raw, values)
    return field


def _with_number(field: Field, value: int) -> Field:
    return replace(field, raw=struct.pack(f"<{FORMATS[field.kind]}", value), value=value)


def _entries(field: Field) -> list[bytes]:
    """Split the bytes of an array; an array of arrays is none that prunekit shortens."""
    of, count = struct.unpack_from("<IQ", field.raw)
    at, found = 12, []
    for _ in range(count if of in FORMATS or of == STRING else 0):
        size = struct.calcsize(f"<{FORMATS[of]}") if of in FORMATS else _text_size(field.raw, at)
        found.append(field.raw[at : at + size])
        at += size
    return found


def _text_size(raw: bytes, at: int) -> int:
    (length,) = struct.unpack_from("<Q", raw, at)
    return 8 + int(length)


def _renamed(file: GgufFile, kept: Kept) -> Iterator[tuple[str, StoredTensor]]:
    """Yield the tensors that stay, with their new names."""
    for tensor in file.tensors:
        found = BLOCK.fullmatch(tensor.name)
        number = kept.number(int(found[1])) if found else None
        if found and number is not None:
            yield f"blk.{number}.{found[2]}", tensor
        elif not found:
            yield tensor.name, tensor


def _write_head(
    file: GgufFile,
    fields: dict[str, Field],
    tensors: list[tuple[str, StoredTensor]],
    target: IO[bytes],
) -> None:
    target.write(MAGIC + struct.pack("<IQQ", file.version, len(tensors), len(fields)))
    for key, field in fields.items():
        target.write(_text(key) + struct.pack("<I", field.kind) + field.raw)
    offset = 0
    for name, tensor in tensors:
        target.write(_text(name) + struct.pack("<I", len(tensor.shape)))
        target.write(struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape))
        target.write(struct.pack("<IQ", tensor.kind, offset))
        offset += tensor.size + -tensor.size % file.alignment


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _pad(target: IO[bytes], alignment: int) -> None:
    target.write(b"\0" * (-target.tell() % alignment))


def _pieces(source: IO[bytes], tensor: StoredTensor) -> Iterator[bytes]:
    source.seek(tensor.offset)
    left = tensor.size
    while left:
        piece = source.read(min(PIECE, left))
        if not piece:
            raise CheckpointError(f"{source.name} ended while it was read; was it changed?")
        left -= len(piece)
        yield piece


def _compare(
    file: GgufFile,
    fields: dict[str, Field],
    tensors: list[tuple[str, StoredTensor]],
    to: Path,
) -> None:
    """Raise CheckpointError unless what was written is what was meant, and its tensors the same."""
    written = read_gguf(to)
    same = written.fields == fields and [t.name for t in written.tensors] == [n for n, _ in tensors]
    with file.path.open("rb") as source, to.open("rb") as target:
        for (_, old), new in zip(tensors, written.tensors, strict=False):
            same = same and (old.shape, old.kind, old.size) == (new.shape, new.kind, new.size)
            same = same and all(
                a == b for a, b in zip(_pieces(source, old), _pieces(target, new), strict=True)
            )
    if not same:
        raise CheckpointError(f"what was written is not what {file.path} holds; try another disk")
