"""The provenance of a checkpoint: `prunekit.json`, or the metadata of a GGUF file."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset
from prunekit.core.spec import ModelFacts
from prunekit.engine.certified import Certified, check_certified
from prunekit.engine.config import SearchConfig, Settings
from prunekit.engine.drafted import Drafted, check_drafted
from prunekit.engine.escaping import shell_word
from prunekit.engine.healed import Healed, check_healed
from prunekit.engine.plain import parse_json
from prunekit.engine.result import check_result
from prunekit.engine.stored import (
    check_fields,
    check_kept,
    check_removed,
    checked_row,
    read_stored,
)
from prunekit.engine.versions import versions
from prunekit.hf.gguf_checkpoint import is_gguf
from prunekit.hf.gguf_file import PROVENANCE, read_gguf
from prunekit.hf.readback import Proof

SCHEMA = 1
FILE = "prunekit.json"
AGAIN = "export the model again"
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
    "checkpoint": str,
    "config": Mapping[str, Any] | None,
    "evaluation": Mapping[str, Any] | None,
    "proof": Proof | None,
    "draft": Drafted | None,
    "heal": Healed | None,
    "healed_before": tuple[Healed, ...],
    "certificate": Certified | None,
}
"""The fields to read back: those that are needed, and others."""
STEP = {
    "model": str,
    "weights": str,
    "blocks": int,
    "removed": tuple[int, ...],
}
"""The fields of an earlier removal."""


def provenance(
    model: str,
    facts: ModelFacts,
    removed: Subset,
    result: Mapping[str, Any] | None,
    config: SearchConfig | None,
    evaluation: Mapping[str, Any] | None,
    before: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the record: model, weights and blocks, the search, and its evaluation, if any.

    `before` are the earlier removals by which the model itself was made, from `earlier_removals`.
    """
    step = {"blocks": facts.n_blocks, "removed": sorted(removed)}
    return {
        "schema": SCHEMA,
        "model": name_of(model),
        "weights": facts.fingerprint["weights"],
        "blocks": facts.n_blocks,
        "removed": sorted(removed),
        "kept": [i for i in range(facts.n_blocks) if i not in removed],
        "before": list(before),
        "removed_of_first": removed_of_first([*before, step]),
        "parameters": facts.parameters,
        "parameters_removed": sum(facts.block_parameters[i] for i in removed),
        "versions": versions(),
        "search": result and {**without_paths(result), "run": Path(result["run"]).name},
        "config": config and portable(config).as_dict(),
        "evaluation": without_paths(evaluation),
    }


def earlier_removals(place: Path, n_blocks: int) -> list[dict[str, Any]]:
    """Return what was removed before from a model in a folder or file, the first removal first.

    Nothing if prunekit did not write it, or if it was given another number of blocks since. Raises
    ConfigError if its record is damaged.
    """
    record = read_provenance(place)
    if record is None or len(record["kept"]) != n_blocks:
        return []
    search = record["search"]
    step = {
        **{name: record[name] for name in STEP},
        "searcher": search and search["searcher"],
        "objective": search and search["objective"],
        "heals": [*record.get("healed_before", ()), *filter(None, [record.get("heal")])],
    }
    return [*record.get("before", ()), step]


def removed_of_first(steps: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the blocks that all removals took, by their numbers in the first model.

    >>> removed_of_first([{"blocks": 6, "removed": [0, 3]}, {"blocks": 4, "removed": [1, 2]}])
    [0, 2, 3, 4]
    """
    kept = list(range(steps[0]["blocks"]))
    for step in steps:
        kept = [number for i, number in enumerate(kept) if i not in step["removed"]]
    return [i for i in range(steps[0]["blocks"]) if i not in kept]


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


def read_provenance(place: Path) -> dict[str, Any] | None:
    """Read the provenance of a checkpoint's folder or a GGUF file, None without one.

    Raises ConfigError if it is damaged, CheckpointError if the file is.
    """
    if is_gguf(place.name) and place.is_file():
        return _in_gguf(place)
    path = place / FILE
    if not path.is_file():
        return None
    return read_stored(path, SCHEMA, STORED, AGAIN, _check)


def _in_gguf(file: Path) -> dict[str, Any] | None:
    field = read_gguf(file).fields.get(PROVENANCE)
    if field is None:
        return None
    where = f"{file}, {PROVENANCE}"
    if not isinstance(field.value, str):
        raise ConfigError(f"{where} is not text; {AGAIN}")
    try:
        row = parse_json(field.value)
    except ValueError as error:
        raise ConfigError(f"{where} is not JSON ({error}); {AGAIN}") from error
    return checked_row(row, where, SCHEMA, STORED, AGAIN, _check)


def _check(row: Mapping[str, Any]) -> None:
    check_fields(row, {name: hint for name, hint in MAY_BE.items() if name in row})
    check_removed(row["removed"], row["blocks"])
    check_kept(row["kept"], row["removed"], row["blocks"])
    _check_line(row)
    if row.get("draft"):
        check_drafted(row["draft"])
    for heal in (*row.get("healed_before", ()), *filter(None, [row.get("heal")])):
        check_healed(heal)
    if row.get("certificate"):
        check_certified(row["certificate"])
    if row["search"] is not None:
        check_result(row["search"], "search")
        if row["search"]["removed"] != row["removed"]:
            raise ValueError(f"removed cannot be {row['removed']}, as its search chose others")


def _check_line(row: Mapping[str, Any]) -> None:
    """Raise ValueError unless each removal leaves the blocks of the next one.

    Records of earlier versions have no earlier removals.
    """
    before = row.get("before", [])
    if not isinstance(before, list):
        raise ValueError(f"before must be a list of removals, not {before!r}")
    steps = [*before, row]
    for step in steps:
        check_fields(step, STEP)
        check_removed(step["removed"], step["blocks"])
    for step, later in itertools.pairwise(steps):
        if step["blocks"] - len(step["removed"]) != later["blocks"]:
            raise ValueError(
                f"before: {step['blocks']} blocks without {len(step['removed'])} cannot be "
                f"{later['blocks']}"
            )
    if row.get("removed_of_first", removed_of_first(steps)) != removed_of_first(steps):
        raise ValueError(f"removed_of_first must be {removed_of_first(steps)}")


def pinned(record: Mapping[str, Any]) -> str:
    """Return the flag for the commit of a model on the hub; empty for others."""
    name, _, commit = record["weights"].rpartition("@")
    return f" --revision {shell_word(commit)}" if name and name == record["model"] else ""
