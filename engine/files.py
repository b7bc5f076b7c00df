"""Write files and folders atomically: a partial one never gets its final name."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from prunekit.core.errors import ConfigError, PrunekitError, StorageError
from prunekit.hf.gguf_checkpoint import is_gguf


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically. Raises StorageError, and keeps the old one, if that fails."""
    write_bytes(path, text.encode())


def check_writable(path: Path) -> None:
    """Raise StorageError if `path` cannot be written or created; nothing is left behind.

    This tries to write, since permissions do not reveal a read-only disk.
    """
    above = next(p for p in (path.absolute(), *path.absolute().parents) if os.path.lexists(p))
    try:
        os.rmdir(tempfile.mkdtemp(prefix=_prefix(path), dir=above))  # no longer name is written
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {above}: {error.strerror}; choose another place"
        ) from error


def check_target(to: Path, gguf: bool = False) -> None:
    """Raise ConfigError if `to` exists, StorageError if nothing can be written there.

    Without `gguf`, a folder is to be written, which is not named as a file.
    """
    if is_gguf(to.name) and not gguf:
        raise ConfigError(f"{to}: this writes a folder; search and export write a .gguf file")
    if os.path.lexists(to):
        raise ConfigError(f"{to} exists already; choose another name, or remove it")
    check_writable(to)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically. Raises StorageError, and keeps the old one, if that fails."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:  # does not follow an existing link
            file.write(content)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it may not exist
            partial.unlink()
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


@contextlib.contextmanager
def rename_into_place(to: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `to`, renamed to it on success and removed on failure.

    A killed process leaves its hidden folder behind, `.NAME.partial-HOST-PROCESS-...`. The next one
    that writes to the same name, on the same machine, removes it.
    """
    _clear_leftovers(to)
    name = f"{_prefix(to)}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    partial = to.absolute().with_name(name)
    _OURS.add(name)
    try:
        with writing(to):
            partial.mkdir(parents=True)
        yield partial
        with writing(to):
            _share(partial)
            os.rename(partial, to)
    finally:
        _OURS.discard(name)
        shutil.rmtree(partial, ignore_errors=True)


_OURS: set[str] = set()
"""The partial folders of this process; a dead one may have had its number, as 1 in a container."""


def _share(folder: Path) -> None:
    """Make files as readable as their folder: safetensors restricts them to the owner."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(mode)


@contextlib.contextmanager
def writing(to: Path) -> Iterator[None]:
    """Turn any error into StorageError: for a full disk, libraries raise errors of many kinds."""
    try:
        yield
    except PrunekitError:
        raise
    except Exception as error:
        raise StorageError(f"cannot write {to}: {error}; nothing was left there") from error


def _clear_leftovers(to: Path) -> None:
    """Remove the partial folders of dead processes of this machine."""
    above = to.absolute().parent
    for folder in above.iterdir() if above.is_dir() else ():
        process, _, _ = folder.name.removeprefix(_prefix(to)).partition("-")
        named = folder.name.startswith(_prefix(to)) and process.isdecimal()
        if named and folder.name not in _OURS and not _is_of_another(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _prefix(to: Path) -> str:
    host = re.sub(r"[^A-Za-z0-9]", "-", socket.gethostname())
    return f".{to.name}.partial-{host}-"


def _is_of_another(process: int) -> bool:
    """Return whether a process other than this one has this number."""
    if process == os.getpid():
        return False
    if os.name != "posix":  # elsewhere `os.kill` would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # alive, but another user's
        return True
    return True
