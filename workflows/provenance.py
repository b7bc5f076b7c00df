"""What a written checkpoint says about its own making: `prunekit.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunekit.core.interfaces import ModelFacts
from prunekit.core.problem import Subset
from prunekit.workflows.config import SearchConfig
from prunekit.workflows.result import check_result
from prunekit.workflows.stored import check_kept, check_removed, read_stored
from prunekit.workflows.versions import versions

SCHEMA = 1
FILE = "prunekit.json"
STORED = {
    "model": str,
    "weights": str,
    "blocks": int,
    "removed": tuple[int, ...],
    "kept": tuple[int, ...],
    "versions": Mapping[str, str],
    "search": Any,
}
"""What is read back."""


def provenance(
    model: str,
    facts: ModelFacts,
    removed: Subset,
    result: Mapping[str, Any] | None,
    config: SearchConfig | None,
    evaluation: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Which model, weights and blocks; the search that chose them, and its evaluation, if any."""
    return {
        "schema": SCHEMA,
        "model": model,
        "weights": facts.fingerprint["weights"],
        "blocks": facts.n_blocks,
        "removed": sorted(removed),
        "kept": [i for i in range(facts.n_blocks) if i not in removed],
        "parameters": facts.parameters,
        "parameters_removed": sum(facts.block_parameters[i] for i in removed),
        "versions": versions(),
        "search": result,
        "config": None if config is None else config.as_dict(),
        "evaluation": evaluation,
    }


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """What a checkpoint says of itself, None where it says nothing; ConfigError if it is torn."""
    path = folder / FILE
    if not path.is_file():
        return None
    return read_stored(path, SCHEMA, STORED, "export the model again", _check)


def _check(row: Mapping[str, Any]) -> None:
    check_removed(row["removed"], row["blocks"])
    check_kept(row["kept"], row["removed"], row["blocks"])
    if row["search"] is not None:
        check_result(row["search"])


def pinned(record: Mapping[str, Any]) -> str:
    """The flag that names the commit of a model from the hub, empty for others."""
    name, _, commit = record["weights"].rpartition("@")
    return f" --revision {commit}" if name and name == record["model"] else ""
