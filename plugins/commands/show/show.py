"""Describe runs, checkpoints and journals on disk."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from prunekit.core.errors import ConfigError
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.config import DEFAULT_DEMO
from prunekit.engine.escaping import shell_word
from prunekit.engine.journal import Journal
from prunekit.engine.plain import parse_json
from prunekit.engine.provenance import FILE as PROVENANCE
from prunekit.engine.provenance import read_provenance
from prunekit.engine.quiet import quietly
from prunekit.engine.result import SearchResult, read_result
from prunekit.engine.runs import folder_of
from prunekit.engine.stored import finite, fits, restored
from prunekit.hf.blocks import block_count
from prunekit.hf.checkpoint import DEMO, Checkpoint, find
from prunekit.hf.gguf_checkpoint import checked_gguf, is_gguf
from prunekit.hf.gguf_pruned import blocks_of
from prunekit.plugins.commands.evaluate.store import check_evaluations, read_record
from prunekit.plugins.commands.latency.latency import read_latency
from prunekit.plugins.commands.show.best import ShownBest, best_subsets


@dataclass(frozen=True)
class ShownRun:
    """A finished search."""

    kind: ClassVar[str] = "run"
    folder: str
    result: SearchResult
    evaluation: Mapping[str, Any] | None
    latency: Mapping[str, Any] | None


@dataclass(frozen=True)
class ShownUnfinishedRun:
    """A search that was stopped or is still running."""

    kind: ClassVar[str] = "unfinished run"
    folder: str
    config: str


@dataclass(frozen=True)
class ShownCheckpoint:
    """A model; `record` is its `prunekit.json`, None if prunekit did not write the model."""

    kind: ClassVar[str] = "checkpoint"
    folder: str
    model_type: str
    n_blocks: int
    parameters: int
    """as stored, so tied weights count once"""
    weight_bytes: int
    dtypes: Mapping[str, int]
    """number of parameters by stored dtype"""
    files: int
    record: Mapping[str, Any] | None
    stored_as: str = "safetensors"
    """the format of the files: this, or `GGUF`"""


@dataclass(frozen=True)
class ShownJournal:
    """Losses of one model under one objective on one calibration set."""

    kind: ClassVar[str] = "journal"
    folder: str
    describes: Mapping[str, Any]
    subsets: int
    by_size: Mapping[int, int]
    """number of subsets measured, fully or partly, by the number of blocks removed"""
    samples: int
    """the largest number of calibration samples measured for any subset"""
    segments: int
    """one per process that measured"""
    models: Sequence[str]
    """names of these weights in the runs of the same folder"""


@dataclass(frozen=True)
class ShownWorkdir:
    """A folder of runs."""

    kind: ClassVar[str] = "workdir"
    folder: str
    results: Sequence[SearchResult]
    others: Mapping[str, str]
    """runs without a readable result, and the reasons"""
    unfinished: Sequence[str]
    """configuration files that resume the unfinished runs"""


Shown: TypeAlias = (
    ShownRun | ShownUnfinishedRun | ShownCheckpoint | ShownJournal | ShownBest | ShownWorkdir
)
BEST = 10
"""How many of the best subsets to show, unless said."""


def show(
    path: str | Path,
    *,
    workdir: str | Path = "prunekit-runs",
    best: int | None = None,
    budget: int | None = None,
) -> Shown:
    """Read a run, by its folder or its name under `workdir`; a checkpoint; a journal; or all runs.

    A checkpoint may be a GGUF file. With `best` or `budget`, rank the subsets of `budget` blocks in
    a journal: the best BEST of them.

    Raises ConfigError if `path` is anything else, CheckpointError if a checkpoint is broken.
    """
    folder = folder_of(Path(path).expanduser(), Path(workdir))
    if best is not None or budget is not None:
        return _best(folder, budget, BEST if best is None else best)
    for read in (_run, _unfinished_run, _journal, _workdir):
        if (shown := read(folder)) is not None:
            return shown
    if is_gguf(folder.name) and folder.is_file():
        return _gguf(folder)
    name = DEMO + DEFAULT_DEMO if str(path) == "demo" else str(path)
    demo = name.startswith(DEMO) and not folder.exists()
    if demo or (folder / "config.json").is_file():
        return _checkpoint(find(Spec(name if demo else str(folder)), load()))
    if (folder / "cells.json").is_file():
        command = f"prunekit report {shell_word(str(path))}"
        raise ConfigError(f"{path}: the folder of a study; `{command}` reads it")
    raise ConfigError(
        f"{path}: nothing to show; expected the folder of a run, its name under {workdir}, the "
        "folder of a checkpoint, a GGUF file, or the folder of a journal"
    )


def _gguf(path: Path) -> ShownCheckpoint:
    file = checked_gguf(path)
    from gguf.constants import GGMLQuantizationType

    types: Counter[str] = Counter()
    for tensor in file.tensors:
        types[GGMLQuantizationType(tensor.kind).name] += math.prod(tensor.shape)
    return ShownCheckpoint(
        folder=str(path),
        model_type=file.architecture,
        n_blocks=blocks_of(file),
        parameters=types.total(),
        weight_bytes=sum(tensor.size for tensor in file.tensors),
        dtypes=dict(types.most_common()),
        files=1,
        record=read_provenance(path),
        stored_as="GGUF",
    )


def to_json(shown: Shown) -> str:
    """Return JSON text that names the kind."""
    row = {"kind": shown.kind, **dataclasses.asdict(shown)}
    if isinstance(shown, ShownRun):
        row["result"] = shown.result.as_dict()
    return json.dumps(finite(row), indent=2, allow_nan=False) + "\n"


def _run(folder: Path) -> ShownRun | None:
    if (result := _result(folder)) is None:
        return None
    return ShownRun(str(folder), result, read_record(folder), read_latency(folder))


def _result(folder: Path) -> SearchResult | None:
    found = (folder / "result.json").is_file()
    return restored(SearchResult, read_result(folder)) if found else None


def _unfinished_run(folder: Path) -> ShownUnfinishedRun | None:
    config = folder / "config.yaml"
    if not config.is_file() or (folder / "config.json").is_file():
        return None
    return ShownUnfinishedRun(str(folder), str(config))


def _workdir(folder: Path) -> ShownWorkdir | None:
    if not (folder / "runs").is_dir():
        return None
    results, others, unfinished = [], {}, []
    for run in sorted(path for path in (folder / "runs").iterdir() if path.is_dir()):
        try:
            result = _result(run)
        except ConfigError:
            others[run.name] = "cannot be read"
            continue
        if result is not None:
            results.append(replace(result, run=str(run)))
            continue
        others[run.name] = "not over"
        if (begun := _unfinished_run(run)) is not None:
            unfinished.append(begun.config)
    return ShownWorkdir(str(folder), results, others, unfinished)


@quietly()
def _checkpoint(checkpoint: Checkpoint) -> ShownCheckpoint:
    folder, config = Path(checkpoint.source), checkpoint.config()
    files, sizes = checkpoint.weight_files(), Counter[str]()
    for tensor in checkpoint.tensors().values():
        sizes[tensor.dtype] += tensor.count
    return ShownCheckpoint(
        folder=str(folder),
        model_type=config.model_type,
        n_blocks=block_count(config),
        parameters=sizes.total(),
        weight_bytes=sum(path.stat().st_size for path in files),
        dtypes=dict(sizes),
        files=len(files),
        record=_record(folder),
    )


def _record(folder: Path) -> dict[str, Any] | None:
    """Read what prunekit wrote of a checkpoint, with the evaluations of its run."""
    record = read_provenance(folder)
    if record and record.get("evaluation"):
        try:
            check_evaluations(record["evaluation"], "evaluation")
        except ValueError as error:
            raise ConfigError(f"{folder / PROVENANCE}: {error}; export the model again") from error
    return record


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _description(folder: Path) -> dict[str, Any] | None:
    """Return what a journal describes, None if the folder is not one."""
    segments = _segments(folder)
    describes = next(filter(None, map(_describes, segments)), None)
    if describes is None and segments and folder.absolute().parent.name == "journals":
        raise ConfigError(f"{segments[0]}:1: not the first line of a journal; move it away")
    return describes


def _journal(folder: Path) -> ShownJournal | None:
    describes = _description(folder)
    if describes is None:
        return None
    known = Journal(folder, describes).known
    return ShownJournal(
        folder=str(folder),
        describes=describes,
        subsets=len(known),
        by_size=dict(sorted(Counter(map(len, known)).items())),
        samples=known.end,
        segments=len(_segments(folder)),
        models=_models(folder.absolute().parents[1], describes["weights"]),
    )


def _best(folder: Path, budget: int | None, most: int) -> ShownBest:
    describes = _description(folder)
    if describes is None:
        raise ConfigError(f"{folder}: not a journal; --best and --budget rank subsets of a journal")
    return best_subsets(folder, describes, load(), budget, most)


def _describes(segment: Path) -> dict[str, Any] | None:
    """Read the header of a journal's segment; None if the file is not one."""
    try:
        with segment.open(encoding="utf-8") as file:
            row = parse_json(file.readline())
    except (OSError, ValueError):
        return None
    found = row.get("describes") if isinstance(row, dict) else None
    shown = {"weights": str, "objective": str, "options": Mapping[str, Any]}
    if isinstance(found, dict) and all(fits(found.get(k, {}), hint) for k, hint in shown.items()):
        return found
    return None


def _models(workdir: Path, weights: str) -> list[str]:
    runs = _workdir(workdir)
    return sorted({r.model for r in runs.results if r.weights == weights}) if runs else []
