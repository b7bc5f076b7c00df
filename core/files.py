"""Write files so that a half-written one never stands under its final name."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from prunekit.core.errors import StorageError


def write_text(path: Path, text: str) -> None:
    """Replace the file at once; StorageError where that fails, and then the old one stands."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """The same with bytes."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it may never have come to be
            partial.unlink()
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
