"""Say why a checkpoint cannot be read, and what to do about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from prunekit.core.errors import CheckpointError

UNREACHABLE = {
    *("LocalEntryNotFoundError", "IncompleteSnapshotError", "OfflineModeIsEnabled"),
    *("ConnectError", "ConnectTimeout"),
}
"""Errors of the hub's client without a network."""


class Named(Protocol):
    """A checkpoint, as far as its name goes."""

    @property
    def source(self) -> str:
        """The folder or name."""


@contextlib.contextmanager
def readable(checkpoint: Named) -> Iterator[None]:
    """Turn errors raised while reading into one sentence that says what to do."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{checkpoint.source}: {_advice(checkpoint.source, error)}"
        ) from error


def _advice(name: str, error: Exception) -> str:
    kinds = {type(e).__name__ for e in _causes(error)}
    if "GatedRepoError" in kinds:
        return "a gated model; ask for access on its page, then run `hf auth login`"
    if "RepositoryNotFoundError" in kinds or "RevisionNotFoundError" in kinds:
        return "not on the hub under this name and revision, or private: run `hf auth login`"
    if kinds & UNREACHABLE:
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
    if "FlashAttention" in str(error) or "flash_attn" in str(error):
        return (
            "config.json asks for an attention kernel that is not installed here; install it, or "
            f"choose another with --attention sdpa: {first_line(error)}"
        )
    if "trust_remote_code" in str(error):
        return "needs code of its own to run; read that code, then add --trust-remote-code"
    return f"cannot be loaded: {type(error).__name__}: {first_line(error)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, with what follows a colon at its end."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    end = next((i for i, line in enumerate(lines) if not line.endswith(":")), len(lines))
    return " ".join(lines[: end + 1])


def _last_line(error: Exception) -> str:
    """Return the conclusion of a message of several lines."""
    line = str(error).strip().splitlines()[-1]
    return line.partition("Error: ")[2] or line.strip()
