"""Identify files by their content, and classes by their code."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int, tuple[int, int]]
"""Device, inode, size, and the times at which content and entry changed."""
TICK_NS = 2 * 10**9
"""A file changed later than this may change again without another time of its last change."""


def digest_of(files: Iterable[Path]) -> str:
    """Digest the contents of files, in this order; a file is read again only if it changed."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        digest.update(_digest(path, _stamp(path)))
    return digest.hexdigest()


def stamp_of(files: Sequence[Path], now_ns: int) -> str:
    """Return what identifies files as those they were, without reading them.

    That is a digest of their paths, inodes, sizes and times. It is empty if one of them changed a
    moment ago, as the clock of its disk may give the next change the same time.
    """
    stamps = [(str(path.absolute()), _stamp(path)) for path in files]
    if any(max(times) > now_ns - TICK_NS for _, (*_, times) in stamps):
        return ""
    return hashlib.blake2b(repr(stamps).encode(), digest_size=16).hexdigest()


def _stamp(path: Path) -> Stamp:
    about = os.stat(path)
    return about.st_dev, about.st_ino, about.st_size, (about.st_mtime_ns, about.st_ctime_ns)


@functools.lru_cache(maxsize=1024)
def _digest(path: Path, stamp: Stamp) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def digest_of_code(cls: type) -> str:
    """Digest the modules that define a class and its bases, so that edited code counts as another.

    A class that was typed into an interpreter has no module to read, and only its name counts.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name in [base.__module__ for base in cls.__mro__ if base is not object]:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is not None:
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()
