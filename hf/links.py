"""Symbolic links in a checkpoint: followed within its folder, and nowhere else.

Archives and repositories can hold links to any file of the machine that they are unpacked on, and
its contents would be in what is written. A folder of links that the user made to files on another
disk looks the same, so it is refused too, and before a search, not after it when its tokenizer is
copied. A link to the folder as a whole is followed, since the user names it.
"""

from __future__ import annotations

from pathlib import Path

from prunekit.core.errors import CheckpointError
from prunekit.hf.hub import SMALL

READ = ("*.safetensors", *SMALL)
"""All files that a checkpoint is made of; others may lie beside them and be links."""
BELOW = "additional_chat_templates/*"
"""What tokenizers read from a folder within."""


def check_links(folder: Path) -> None:
    """CheckpointError where a file that may be read is a link to a place outside of the folder."""
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
