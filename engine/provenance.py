"""The provenance of a checkpoint: `prunekit.json`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunekit.core.interfaces import ModelFacts
from prunekit.core.problem import Subset
from prunekit.engine.config import SearchConfig, Settings
from prunekit.engine.escaping import shell_word
from prunekit.engine.result import check_result
from prunekit.engine.stored import check_fields, check_kept, check_removed, read_stored
from prunekit.engine.versions import versions

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
MAY_BE = {
    "parameters": int,
    "parameters_removed": int,
    "remark": str | None,
    "config": Mapping[str, Any] | None,
    "evaluation": Mapping[str, Any] | None,
}
"""The fields to read back: those that are needed, and others."""


def provenance(
    model: str,
    facts: ModelFacts,
    removed: Subset,
    result: Mapping[str, Any] | None,
    config: SearchConfig | None,
    evaluation: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the record: model, weights and blocks, the search, and its evaluation, if any."""
    return {
        "schema": SCHEMA,
        "model": name_of(model),
        "weights": facts.fingerprint["weights"],
        "blocks": facts.n_blocks,
        "removed": sorted(removed),
        "kept": [i for i in range(facts.n_blocks) if i not in removed],
        "parameters": facts.parameters,
        "parameters_removed": sum(facts.block_parameters[i] for i in removed),
        "versions": versions(),
        "search": result and {**without_paths(result), "run": Path(result["run"]).name},
        "config": config and portable(config).as_dict(),
        "evaluation": without_paths(evaluation),
    }


def name_of(place: str) -> str:
    """Return the last component of a path, which does not reveal the machine; or other text.

    >>> name_of("/home/jo/models/tiny"), name_of("owner/name"), name_of("lambada=~/own.jsonl")
    ('tiny', 'owner/name', 'lambada=own.jsonl')
    """
    protocol, equals, file = place.partition("=")
    if equals and not os.path.lexists(place):
        return f"{protocol}={name_of(file)}"
    is_path = place.startswith(("/", "~", "./", "../")) or place in (".", "..")
    if is_path or (os.sep in place and os.path.lexists(place)):
        return os.path.basename(os.path.abspath(place))
    return place


def portable(config: SearchConfig) -> SearchConfig:
    """Return the configuration without this machine's paths of model and data."""
    settings = without_paths(dataclasses.asdict(config.settings))
    options = without_paths(config.options)
    return dataclasses.replace(config, settings=Settings(**settings), options=options)


def without_paths(value: Any) -> Any:
    """Return plain data, keys included, with names in place of paths."""
    if isinstance(value, Mapping):
        return {without_paths(key): without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_paths(item) for item in value)
    return name_of(value) if isinstance(value, str) else value


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """Read a checkpoint's provenance, None without one. Raises ConfigError if it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    return read_stored(path, SCHEMA, STORED, "export the model again", _check)


def _check(row: Mapping[str, Any]) -> None:
    check_fields(row, {name: hint for name, hint in MAY_BE.items() if name in row})
    check_removed(row["removed"], row["blocks"])
    check_kept(row["kept"], row["removed"], row["blocks"])
    if row["search"] is not None:
        check_result(row["search"], "search")
        if row["search"]["removed"] != row["removed"]:
            raise ValueError(f"removed cannot be {row['removed']}, as its search chose others")


def pinned(record: Mapping[str, Any]) -> str:
    """Return the flag for the commit of a model on the hub; empty for others."""
    name, _, commit = record["weights"].rpartition("@")
    return f" --revision {shell_word(commit)}" if name and name == record["model"] else ""
