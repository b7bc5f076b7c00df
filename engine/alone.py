"""Let one process at a time work in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prunekit.core.errors import ConfigError
from prunekit.engine.files import writing

FILE = "lock"


@contextmanager
def alone_in(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is missing; a dead process holds none.

    If another process holds it, `wait` for that, or raise ConfigError. Raises StorageError if it
    cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / FILE, timeout=-1 if wait else 0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise ConfigError(
                f"{folder}: another process is at the same work; wait for it, or give another "
                "--workdir"
            ) from None
    try:
        yield
    finally:
        lock.release()
