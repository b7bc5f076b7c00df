"""Read the JSON files of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prunekit.core.errors import CheckpointError

POINTER = b"version https://git-lfs"


def read_object(path: Path) -> dict[str, Any]:
    """The object in a file; CheckpointError where it holds none."""
    check_fetched(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expected a JSON object, {{...}}; fetch it again")
    return found


def check_fetched(path: Path) -> None:
    """CheckpointError where a file only stands for one that git-lfs has not fetched."""
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise CheckpointError(
                f"{path} is a pointer of git-lfs, not the file itself; run `git lfs pull` in its "
                "folder"
            )
