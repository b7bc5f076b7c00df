"""Say in one sentence what went wrong while a library read a checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prunekit.core.errors import CheckpointError

if TYPE_CHECKING:
    from prunekit.hf.checkpoint import Checkpoint


@contextlib.contextmanager
def readable(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what goes wrong while reading into one sentence that says what to do."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{checkpoint.source}: {_advice(checkpoint, error)}") from error


def _advice(checkpoint: Checkpoint, error: Exception) -> str:
    kinds = {type(e).__name__ for e in _causes(error)}
    name = checkpoint.source
    if "GatedRepoError" in kinds:
        return "a gated model; ask for access on its page, then run `hf auth login`"
    if "RepositoryNotFoundError" in kinds or "RevisionNotFoundError" in kinds:
        return "not on the hub under this name and revision, or private: run `hf auth login`"
    if kinds & {
        "LocalEntryNotFoundError",
        "IncompleteSnapshotError",
        "OfflineModeIsEnabled",
        "ConnectError",
        "ConnectTimeout",
    }:
        return (
            "not in the local cache, and the hub cannot be reached; run "
            f"`hf download {name}` where there is a network, or give a folder"
        )
    if "report above" in str(error) or "above report" in str(error):
        return (
            "the weights have other shapes than the configuration says; it is damaged or mixed up"
        )
    if any(kind.startswith("StrictDataclass") for kind in kinds):
        return f"config.json is not that of such a model: {_last_line(error)}"
    if "does not recognize this architecture" in str(error):
        return "this transformers knows no such `model_type` as config.json names; try a newer one"
    if "trust_remote_code" in str(error):
        return "needs code of its own to run; read that code, then add --trust-remote-code"
    return f"cannot be loaded: {type(error).__name__}: {first_line(error)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else ""


def _last_line(error: Exception) -> str:
    """What a check of several lines found."""
    line = str(error).strip().splitlines()[-1]
    return line.partition("Error: ")[2] or line.strip()
