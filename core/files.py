"""Write files and folders so that a half-written one never stands under its final name."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from prunekit.core.errors import PrunekitError, StorageError


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


@contextlib.contextmanager
def rename_into_place(to: Path) -> Iterator[Path]:
    """A temporary folder beside `to`, which takes its name if all goes well, else vanishes."""
    partial = to.absolute().with_name(f".{to.name}.{uuid.uuid4().hex[:8]}")
    try:
        with writing(to):
            partial.mkdir(parents=True)
        yield partial
        with writing(to):
            os.rename(partial, to)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def writing(to: Path) -> Iterator[None]:
    """What goes wrong is a full disk or the like: the libraries raise errors of many kinds."""
    try:
        yield
    except PrunekitError:
        raise
    except Exception as error:
        raise StorageError(f"cannot write {to}: {error}; nothing was left there") from error
