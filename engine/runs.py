"""Read a finished run back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import nearest
from prunekit.core.problem import Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.config import SearchConfig, parse_file
from prunekit.engine.plan import spec_of
from prunekit.engine.result import read_result

RUNS, STUDIES = "runs", "studies"
"""Folders of a workdir."""


@dataclass(frozen=True)
class Run:
    """A finished search: its configuration, and its result."""

    folder: Path
    config: SearchConfig
    spec: Spec
    removed: Subset
    result: Mapping[str, Any]


def read_run(run: Path, workdir: Path) -> Run:
    """Read the run in a folder, or of that name under `workdir`. Raises ConfigError if missing.

    A model from the hub is pinned to the commit that was searched. Its code is not trusted: who
    reads the run back may not be who searched.
    """
    folder = folder_of(run, workdir)
    if not folder.is_dir():
        raise unknown("run", run, workdir / RUNS)
    result = read_result(folder)
    if result["pruned"]["loss"] is None:
        raise ConfigError(f"{folder}: its search found no finite loss; search with other options")
    config = _config_of(folder)
    spec = replace(spec_of(config.settings), trust_remote_code=False)
    name, _, commit = result["weights"].rpartition("@")
    if name == spec.model:
        spec = replace(spec, revision=commit)
    return Run(folder, config, spec, frozenset(result["removed"]), result)


def _config_of(folder: Path) -> SearchConfig:
    try:
        return parse_file(folder / "config.yaml", {}, load())
    except ConfigError as error:
        raise ConfigError(
            f"{error}; it is of another version, lacks a plugin, or was edited: search again, or "
            "give the model, and its blocks with --remove"
        ) from error


def unknown(kind: str, given: Path, place: Path) -> ConfigError:
    """Describe a run or a study that does not exist, with the name that is most like it."""
    names = [path.name for path in place.iterdir()] if place.is_dir() else []
    near = nearest(given.name, names)
    advice = f"did you mean {near}?" if near else f"expected the name of a folder in {place}"
    return ConfigError(f"{str(given)[:100]}: no such {kind}; {advice}")


def smaller_of(run: Run, budget: int) -> Subset:
    """Return the best subset of a smaller size that a search passed on its way to its budget.

    Raises ConfigError if it measured none of that size, as most searchers do.
    """
    if budget == run.result["budget"]:
        return run.removed
    known = run.result.get("smaller") or {}
    if str(budget) not in known:
        sizes = ", ".join([*known, str(run.result["budget"])])
        raise ConfigError(
            f"budget {budget}: {run.result['searcher']} measured no subset of {budget} blocks for "
            f"{run.folder.name}; this run has {sizes}; search with --budget {budget}, or take "
            "another of these",
            ("budget",),
        )
    return frozenset(known[str(budget)])


def folder_of(given: Path, workdir: Path, kind: str = RUNS) -> Path:
    """Return the folder of that name, else the run of that name under `workdir` if it exists.

    With the `kind` STUDIES, it is a study.
    """
    named = workdir / kind / given
    return given if given.is_dir() or not named.is_dir() else named
