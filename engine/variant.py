"""A model and the blocks to remove from it, and whether these two belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset, words
from prunekit.core.spec import Spec
from prunekit.engine.runs import Run

MODEL_SETTINGS = (
    "model",
    "adapter",
    "revision",
    "trust_remote_code",
    "device",
    "dtype",
    "attention",
)
"""Settings that decide which model a command takes, and how it is loaded."""
MEASURED_SETTINGS = (*MODEL_SETTINGS, "tokens_per_forward")
"""The same where losses of the model are measured."""


@dataclass(frozen=True)
class Variant:
    """A model without some of its blocks, and the run that chose them, if a search did."""

    spec: Spec
    removed: Subset
    run: Run | None = None


def check_blocks(removed: Subset, n_blocks: int) -> None:
    """Raise ConfigError unless these can be removed from a model of `n_blocks` blocks."""
    wrong = [i for i in removed if not 0 <= i < n_blocks]
    if wrong:
        raise ConfigError(
            f"no such block: {words(wrong)}; this model has blocks 0 to {n_blocks - 1}"
        )
    if not 0 < len(removed) < n_blocks:
        raise ConfigError(
            f"{len(removed)} of {n_blocks} blocks cannot be removed; name at least one, not all"
        )


def check_weights(weights: str, result: Mapping[str, Any] | None, model: str) -> None:
    """Raise ConfigError if the weights have changed since a search chose the blocks."""
    if result is not None and result["weights"] != weights:
        raise has_changed(model, "weights have")


def has_changed(model: str, what: str) -> ConfigError:
    """Return the error about a model that is not the one that was searched."""
    return ConfigError(
        f"{model} is no longer the model that was searched: its {what} changed; search again, or "
        "name the blocks with --remove"
    )
