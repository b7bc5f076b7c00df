"""The files of a checkpoint: fetched from the hub, checked for links, read as JSON, digested.

Archives and repositories can hold links to any file of the machine that they are unpacked on, and
its contents would be in what is written. A folder of links that the user made to files on another
disk looks the same, so it is refused too, and before a search, not after it when its tokenizer is
copied. A link to the folder as a whole is followed, since the user names it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prunekit.core.errors import CheckpointError

SMALL = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.spm", "*.bpe", "*.py", "*.md")
"""All that a checkpoint is made of but its weights."""


@functools.cache
def fetch(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    """The folder of the cache with the files like these; it is called like the commit.

    A branch is looked up once, so that a process sees one commit of it.
    """
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))


READ = ("*.safetensors", *SMALL)
"""All files that a checkpoint is made of; others may lie beside them and be links."""
BELOW = "additional_chat_templates/*"
"""Files that tokenizers read from a folder within."""


def check_links(folder: Path) -> None:
    """Raise CheckpointError if a file that may be read is a link out of the folder."""
    for path in sorted([*folder.iterdir(), *folder.glob(BELOW)]):
        if any(map(path.match, READ)):
            check_inside(path, folder)


def check_inside(path: Path, folder: Path) -> None:
    """The same for one file. The hub's cache keeps contents beside its folders of links."""
    folder = folder.resolve()
    places = [folder]
    if folder.parent.name == "snapshots":
        places.append(folder.parents[1] / "blobs")
    if not any(path.resolve().is_relative_to(place) for place in places):
        raise CheckpointError(
            f"{path} is a link to a place outside of its folder, and is not read from there; copy "
            "the file itself to its place, or give the folder where it lies"
        )


POINTER = b"version https://git-lfs"


def read_object(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file. Raises CheckpointError if it holds none."""
    check_fetched(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expected a JSON object, {{...}}; fetch it again")
    return found


def check_fetched(path: Path) -> None:
    """Raise CheckpointError if a file is only a git-lfs pointer to the real one."""
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise CheckpointError(
                f"{path} is a pointer of git-lfs, not the file itself; run `git lfs pull` in its "
                "folder"
            )


def digest_of(files: Iterable[Path]) -> str:
    """A digest of the contents of files, in this order; a file is read again when it changed."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        about = os.stat(path)
        stamp = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        digest.update(_digest(path, stamp))
    return digest.hexdigest()


@functools.lru_cache(maxsize=1024)
def _digest(path: Path, stamp: tuple[int, ...]) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
