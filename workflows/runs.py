"""Read a finished run back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunekit.core.interfaces import Spec
from prunekit.core.problem import Subset
from prunekit.core.registry import load
from prunekit.workflows.config import parse_file
from prunekit.workflows.plan import spec_of
from prunekit.workflows.result import read_result


@dataclass(frozen=True)
class Run:
    """What a search was told, and what came out."""

    spec: Spec
    removed: Subset
    weights: str
    result: Mapping[str, Any]


def read_run(run: Path, workdir: Path) -> Run:
    """The run in a folder, or of that name under `workdir`; ConfigError where there is none.

    A model from the hub is pinned to the commit that was searched.
    """
    named = workdir / "runs" / run
    folder = run if run.is_dir() or not named.is_dir() else named
    result = read_result(folder)
    spec = spec_of(parse_file(folder / "config.yaml", {}, load()).settings)
    name, _, commit = result["weights"].rpartition("@")
    if name == spec.model:
        spec = replace(spec, revision=commit)
    return Run(spec, frozenset(result["removed"]), result["weights"], result)
