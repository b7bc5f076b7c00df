"""Keep what a model wrote on disk, batch by batch, so that a kill loses one at most."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prunekit.core.problem import Subset
from prunekit.engine.files import write_text
from prunekit.engine.stored import read_stored, restored, subset_name
from prunekit.plugins.commands.certify.generation import Start, Written

SCHEMA = 1
FOLDER = "texts"
TEXTS, AGREEMENT = {"texts": tuple[Written, ...]}, {"agreement": float}
AGAIN = "remove it and certify again"


class KeptTexts:
    """What one model wrote; `how` is what changes it beside its fingerprint and the starts."""

    def __init__(
        self,
        workdir: Path,
        fingerprint: Mapping[str, str],
        removed: Subset,
        how: Mapping[str, Any],
    ) -> None:
        name = _digest(sorted(fingerprint.items()))
        self.folder = workdir / FOLDER / name / subset_name(removed)
        self.how = sorted(how.items())

    def texts(self, starts: Sequence[Start], most: int) -> list[Written] | None:
        """Return what was written after these starts; None if nothing was.

        Raises ConfigError if the file is damaged.
        """
        path = self._path(starts, most)
        if not path.is_file():
            return None

        def check(row: Mapping[str, Any]) -> None:
            if len(row["texts"]) != len(starts):
                raise ValueError(f"expected {len(starts):,} texts, got {len(row['texts']):,}")

        rows = read_stored(path, SCHEMA, TEXTS, AGAIN, check)["texts"]
        return [restored(Written, row) for row in rows]

    def keep_texts(self, starts: Sequence[Start], most: int, texts: Sequence[Written]) -> None:
        """Keep them. Raises StorageError if that fails."""
        _keep(self._path(starts, most), {"texts": [dataclasses.asdict(text) for text in texts]})

    def agreement(self, prompt: Sequence[int], text: Written) -> float | None:
        """Return the agreement with a text; None if it was not measured."""
        path = self._path(prompt, text.tokens)
        if not path.is_file():
            return None

        def check(row: Mapping[str, Any]) -> None:
            if not 0 <= row["agreement"] <= 1:
                raise ValueError(f"agreement cannot be {row['agreement']!r}")

        return float(read_stored(path, SCHEMA, AGREEMENT, AGAIN, check)["agreement"])

    def keep_agreement(self, prompt: Sequence[int], text: Written, share: float) -> None:
        """Keep it. Raises StorageError if that fails."""
        _keep(self._path(prompt, text.tokens), {"agreement": share})

    def _path(self, *of: Any) -> Path:
        return self.folder / f"{_digest(self.how, of)}.json"


def _keep(path: Path, row: Mapping[str, Any]) -> None:
    write_text(path, json.dumps({"schema": SCHEMA, **row}, allow_nan=False) + "\n")


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
