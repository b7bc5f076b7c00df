"""Remember on disk what was found out about models: what they are, and that they were proved.

Each record is a file of its own, so that processes need no lock, and is named by a digest of what
it says. A damaged one therefore does not count, and what it said is found out again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError, StorageError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.registry import Registry
from prunekit.core.spec import Known, ModelFacts, Spec
from prunekit.engine.files import write_text
from prunekit.engine.stored import read_stored
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.loading import load_adapter

SCHEMA = 1
FOLDER = "models"
PROOF = {"proof": str}
IDENTITY = {"stamp": str, "identity": str}


def load_known(spec: Spec, workdir: Path, registry: Registry) -> ModelAdapter:
    """Load a model like `load_adapter`, and remember in `workdir` that it was proved."""
    spec = recall(spec, workdir)
    adapter = load_adapter(spec, registry)
    remember(adapter.facts, find(spec, registry), workdir)
    return adapter


def recall(spec: Spec, workdir: Path) -> Spec:
    """Return the model with what earlier commands found out about models."""
    identities = {row["stamp"]: row["identity"] for row in _rows(workdir, "identity", IDENTITY)}
    proofs = frozenset(row["proof"] for row in _rows(workdir, "proof", PROOF))
    return replace(spec, known=Known(proofs, identities))


def remember(facts: ModelFacts, checkpoint: Checkpoint, workdir: Path) -> None:
    """Remember what loading a model has shown: that it is proved, and what is in its files.

    If it cannot be written, the command goes on, and the next one finds it out again.
    """
    with contextlib.suppress(StorageError):
        if facts.proof and facts.proof not in checkpoint.known.proofs:
            _write(workdir, "proof", {"proof": facts.proof})
        stamp = checkpoint.stamp()
        if stamp and stamp not in checkpoint.known.identities:
            _write(workdir, "identity", {"stamp": stamp, "identity": checkpoint.identity()})


def forget_proofs(workdir: Path) -> None:
    """Have all models proved again. Raises StorageError if a record cannot be removed."""
    for path in _paths(workdir, "proof"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {path}: {error.strerror}") from error


def _rows(workdir: Path, kind: str, needed: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records that say what their names mean."""
    for path in _paths(workdir, kind):
        with contextlib.suppress(ConfigError):
            row = read_stored(path, SCHEMA, needed, "remove it")
            if path.name == _name(kind, row):
                yield row


def _paths(workdir: Path, kind: str) -> list[Path]:
    return sorted((workdir / FOLDER).glob(f"{kind}-*.json"))


def _write(workdir: Path, kind: str, content: Mapping[str, str]) -> None:
    row = {"schema": SCHEMA, **content}
    write_text(workdir / FOLDER / _name(kind, row), json.dumps(row) + "\n")


def _name(kind: str, row: Mapping[str, Any]) -> str:
    text = json.dumps(row, sort_keys=True)
    return f"{kind}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.json"
