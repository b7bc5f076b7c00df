"""A pruned model to heal, and the dense one that it was made from."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError, Remark
from prunekit.core.problem import Subset
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.alone import alone_in
from prunekit.engine.choice import choose
from prunekit.engine.config import parse
from prunekit.engine.plan import spec_of
from prunekit.engine.provenance import read_provenance
from prunekit.engine.runs import Run
from prunekit.engine.variant import Variant
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.side_files import tokenizer_digest
from prunekit.plugins.commands.evaluate.store import read_record
from prunekit.plugins.commands.evaluate.target import OF_RUNS, find_dense, is_changed
from prunekit.plugins.commands.export.export import export_checkpoint

HEALS = "heals"
"""The folder in a work folder for what `prunekit heal` keeps."""


@dataclass(frozen=True)
class Which:
    """The pruned model that a user names, by one of three ways."""

    model: str | None = None
    """a checkpoint that prunekit wrote, or the model without the blocks `remove`"""
    run: str | Path | None = None
    remove: Iterable[int] | None = None
    budget: int | None = None
    """a smaller one than that of the run"""
    teacher: str | None = None
    """the dense model of a checkpoint"""


@dataclass(frozen=True)
class Pair:
    """A checkpoint that prunekit wrote, and the dense model that it was made from."""

    pruned: Spec
    dense: Spec
    record: Mapping[str, Any]
    """the `prunekit.json` of the checkpoint"""
    run: Run | None = None

    @property
    def removed(self) -> Subset:
        """Return the blocks of the dense model that are gone."""
        return frozenset(self.record["removed"])


def find_pair(which: Which, workdir: Path, given: Mapping[str, Any]) -> Pair:
    """Find a checkpoint and its dense model; or write one under `workdir`, of a run or by hand.

    `given` holds settings of the model such as `device`. Raises ConfigError if a checkpoint was not
    written by prunekit, if the dense model is another one, or if their tokenizers differ.
    """
    if which.run is None and which.remove is None and which.budget is None:
        pair = _of_checkpoint(which.model, which.teacher, workdir, given)
    elif which.teacher is not None:
        raise ConfigError(
            "--teacher names the dense model of a checkpoint; a run, and a model with --remove, "
            "have theirs: leave it out",
            ("teacher",),
        )
    else:
        variant = choose(
            which.model,
            which.remove,
            which.run,
            workdir,
            given,
            anew=OF_RUNS,
            budget=which.budget,
        )
        pair = _written(variant, workdir)
    _check_tokenizers(pair)
    if "parameters" not in pair.record:
        raise ConfigError(
            f"{pair.pruned.model} was written by an earlier version of prunekit, whose record "
            "lacks what a model card needs; export it again"
        )
    return pair


def _of_checkpoint(
    model: str | None, teacher: str | None, workdir: Path, given: Mapping[str, Any]
) -> Pair:
    spec = spec_of(parse({"model": model, **given}, load()).settings)
    record = read_provenance(Path(spec.model))
    if record is None:
        raise ConfigError(
            f"{spec.model} has no record of which blocks it lacks, such as a prunekit.json; give a "
            "checkpoint that `prunekit export` wrote, a run, or a model and the blocks to --remove"
        )
    if teacher is None and spec.trust_remote_code:
        raise ConfigError(
            f"{spec.model} names its dense model in a file, and no file can have code trusted; "
            "name that model with --teacher",
            ("teacher",),
        )
    if teacher is None:
        try:
            dense = find_dense(spec, record, workdir)
        except ConfigError as error:
            raise ConfigError(
                f"the dense model of {spec.model} was not found ({error}); name it with --teacher",
                ("teacher",),
            ) from error
    else:
        shared = {name: value for name, value in given.items() if name not in ("revision",)}
        dense = spec_of(parse({"model": teacher, **shared}, load()).settings)
        _check_dense(dense, record, spec.model)
    if is_changed(spec, record):
        line = f"{spec.model} was changed since prunekit wrote it; it is healed as it is"
        warnings.warn(line, Remark, stacklevel=3)
    return Pair(spec, dense, record)


def _check_dense(dense: Spec, record: Mapping[str, Any], pruned: str) -> None:
    if find(dense, load()).identity() != record["weights"]:
        raise ConfigError(
            f"--teacher {dense.model}: {pruned} was made from {record['model']} with other "
            "weights; give that model",
            ("teacher",),
        )


def _written(variant: Variant, workdir: Path) -> Pair:
    """Write the checkpoint of a choice, unless an earlier command did."""
    dense, run = replace(variant.spec, repairing=None), variant.run
    known = (run.result, run.config, read_record(run.folder)) if run else ()
    identity = find(dense, load()).identity()
    origin = json.dumps([run.result, read_record(run.folder)]) if run else ""
    key = repr((identity, sorted(variant.removed), variant.spec.repairing, origin))
    name = hashlib.blake2b(key.encode(), digest_size=6).hexdigest()
    folder = (workdir / HEALS / f"pruned-{name}").absolute()
    with alone_in(folder.parent, wait=True):
        if not folder.exists():
            export_checkpoint(variant.spec, variant.removed, folder, None, *known)
    record = read_provenance(folder)
    if record is None or record.get("checkpoint") != Checkpoint(str(folder)).identity():
        raise ConfigError(
            f"{folder} is no longer what prunekit wrote there; remove it, and it is written again"
        )
    pruned = replace(dense, model=str(folder), revision=None)
    return Pair(pruned, dense, record, run)


def _check_tokenizers(pair: Pair) -> None:
    one, other = (tokenizer_digest(find(s, load())) for s in (pair.pruned, pair.dense))
    if one != other:
        raise ConfigError(
            f"{pair.pruned.model} and {pair.dense.model} have different tokenizers, so neither "
            "text nor losses are the same; copy the tokenizer's files of the dense model"
        )
