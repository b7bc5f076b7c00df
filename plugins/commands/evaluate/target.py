"""The model to evaluate, and the dense model to compare it with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError, PrunekitError
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.registry import load
from prunekit.core.spec import ModelFacts, Spec
from prunekit.engine.choice import choose
from prunekit.engine.config import parse
from prunekit.engine.plan import spec_of
from prunekit.engine.provenance import read_provenance
from prunekit.engine.runs import RUNS, Run, read_run
from prunekit.engine.variant import check_blocks, check_weights
from prunekit.hf.checkpoint import DEMO, HUB_NAME, Checkpoint, find
from prunekit.hf.gguf_checkpoint import is_gguf
from prunekit.hf.gguf_file import read_gguf
from prunekit.hf.gguf_pruned import blocks_of

OF_RUNS = ("device", "dtype", "tokens_per_forward", "attention")
"""Settings that may differ from the run's: where and how it is evaluated, not what it is."""
LONGEST_NAME = 255
"""Of a file; a longer one is an error of the operating system."""


@dataclass(frozen=True)
class EvalTarget:
    """A model without some blocks, a checkpoint made from another model, or one model as it is."""

    spec: Spec
    removed: Subset = DENSE
    """blocks to bypass"""
    run: Run | None = None
    origin: Spec | None = None
    """the model to compare with: the baseline, or the dense model of a checkpoint if it is found"""
    gone: tuple[int, ...] = ()
    """blocks removed when the checkpoint was made, according to its `prunekit.json`"""
    record: Mapping[str, Any] | None = None
    """the `prunekit.json` of a checkpoint"""
    remark: str = ""
    """why there is nothing to compare with, or what was removed before from what is"""

    @property
    def is_compared(self) -> bool:
        """Return True if there is a dense model, or a baseline, to compare with."""
        return bool(self.removed or self.origin)

    @property
    def baseline(self) -> str:
        """The model that the user named to compare with; empty if that is the dense model."""
        return self.origin.model if self.origin and not self.gone else ""

    @property
    def afterwards(self) -> str:
        """What was done after the removal, as a run or a checkpoint says: repaired, healed."""
        result = self.run.result if self.run and self.removed else (self.record or {}).get("search")
        repair = (result or {}).get("repair")
        done = [f"repaired by {repair['name']}"] if repair else []
        return ", ".join([*done, *["healed"] * bool((self.record or {}).get("heal"))])

    @property
    def is_demo(self) -> bool:
        """Return True if the model comes with prunekit, or was made from one that does."""
        return (self.origin or self.spec).model.startswith(DEMO)

    def check(self, facts: ModelFacts) -> None:
        """Raise ConfigError if it lacks these blocks, or the weights that were searched."""
        if self.removed:
            check_blocks(self.removed, facts.n_blocks)
        result = self.run.result if self.run else None
        check_weights(facts.fingerprint["weights"], result, self.spec.model)


def find_target(
    model: str | None,
    run: str | Path | None,
    remove: Iterable[int] | None,
    workdir: str | Path,
    given: Mapping[str, Any],
    baseline: str | None = None,
    budget: int | None = None,
) -> EvalTarget:
    """Find a run, `model` without the blocks `remove`, or `model` as it is.

    `given` holds settings of the model such as `device`. Raises ConfigError if it is two at once.
    """
    if baseline is not None:
        return _beside(baseline, model, (run, remove, budget), given)
    if run is None and remove is None and budget is None:
        return _as_it_is(spec_of(parse({"model": model, **given}, load()).settings), Path(workdir))
    variant = choose(model, remove, run, workdir, given, anew=OF_RUNS, budget=budget)
    if not variant.removed:
        raise ConfigError("--remove names no block; leave it out to evaluate the model as it is")
    remark = _removed_before(variant.spec.model)
    return EvalTarget(variant.spec, variant.removed, variant.run, remark=remark)


def _removed_before(dense: str) -> str:
    """Return a remark if the model to compare with was pruned itself, otherwise ''."""
    try:
        record = read_provenance(Path(dense))
    except ConfigError as error:
        return f"compared with {dense}, which was pruned before: {error}"
    if record is None:
        return ""
    first = next(iter(record.get("before", ())), record)
    gone = record.get("removed_of_first", record["removed"])
    return (
        f"compared with {dense}, which was pruned before: it lacks blocks {words(gone)} of "
        f"{first['model']}"
    )


def _beside(
    baseline: str, model: str | None, others: Iterable[object], given: Mapping[str, Any]
) -> EvalTarget:
    """Set a model beside another one, such as a healed model beside its original."""
    if model is None or any(other is not None for other in others):
        raise ConfigError(
            "--baseline compares --model as it is with another model; a run, and a model with "
            "--remove, are compared with their dense model"
        )
    spec = spec_of(parse({"model": model, **given}, load()).settings)
    shared = {name: value for name, value in given.items() if name not in ("revision", "adapter")}
    origin = spec_of(parse({"model": baseline, **shared}, load()).settings)
    return EvalTarget(spec, origin=origin)


def _as_it_is(spec: Spec, workdir: Path) -> EvalTarget:
    """Read from a checkpoint that prunekit wrote which model it was made from."""
    record = read_provenance(Path(spec.model))
    if record is None:
        return EvalTarget(
            spec, remark="no blocks are missing, so there is nothing to compare with: add --remove"
        )
    target = replace(_beside_its_dense_model(spec, record, workdir), record=record)
    if not is_changed(spec, record):
        return target
    changed = f"{spec.model} was changed since prunekit wrote it, in its weights or config.json"
    return replace(target, remark="; ".join(filter(None, (changed, target.remark))))


def is_changed(spec: Spec, record: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint is no longer what prunekit wrote, as far as its record says.

    That of a GGUF file cannot hold a digest of the file, but its number of blocks; version 0.1 did
    not record one.
    """
    if is_gguf(spec.model):
        return blocks_of(read_gguf(Path(spec.model))) != len(record["kept"])
    written = record.get("checkpoint")
    now = Checkpoint(str(Path(spec.model).expanduser()))
    return written is not None and now.identity() != written


def _beside_its_dense_model(spec: Spec, record: Mapping[str, Any], workdir: Path) -> EvalTarget:
    gone = tuple(record["removed"])
    if spec.trust_remote_code:  # the user trusts this folder, not a model that its file names
        remark = (
            "without its dense model: to trust its code as well, evaluate "
            f"{record['model']} --remove"
        )
        return EvalTarget(spec, gone=gone, remark=remark)
    try:
        origin = find_dense(spec, record, workdir)
    except ConfigError as error:
        return EvalTarget(spec, gone=gone, remark=f"without its dense model: {error}")
    return EvalTarget(spec, origin=origin, gone=gone, remark=_removed_before(origin.model))


def find_dense(spec: Spec, record: Mapping[str, Any], workdir: Path) -> Spec:
    """Find the model of which the checkpoint `spec`, with this `prunekit.json`, was made.

    A folder is looked for by its name: beside the checkpoint, in the current directory, and where
    the run that chose the blocks had it. Raises ConfigError if none has the right weights.
    """
    reason = ""
    for model in _places(spec, record, workdir):
        name, _, commit = record["weights"].rpartition("@")
        dense = replace(spec, model=model, revision=commit if name == model else None, adapter=None)
        try:
            if find(dense, load()).identity() == record["weights"]:
                return dense
            reason = f"{model} has other weights than it was made from"
        except PrunekitError as error:
            reason = reason or f"it is gone: {error}"
    if reason:
        raise ConfigError(reason)
    gone = ",".join(map(str, record["removed"]))
    raise ConfigError(
        f"no folder {Path(record['model']).name} is beside it or here; put a link to it there, or "
        f"evaluate --model FOLDER --remove {gone}"
    )


def _places(spec: Spec, record: Mapping[str, Any], workdir: Path) -> Iterator[str]:
    """Yield the name itself if it is a demo or a name on the hub, else the folders that exist.

    These names come from a file, so none of them may lead to a place that the file chooses.
    """
    model, search = record["model"], record["search"]
    if model.startswith(DEMO) or _on_hub(model, record["weights"]):
        yield model
        return
    folders: list[Path] = []
    if name := _plain(model):
        folders += [Path(spec.model).absolute().parent / name, Path(name)]
    if search is not None:
        folders += _of_run(search["run"], workdir)
    yield from (
        str(place)
        for place in folders
        if place.is_dir() or (is_gguf(place.name) and place.is_file())
    )


def _on_hub(model: str, weights: str) -> bool:
    named = weights.startswith(f"{model}@") and HUB_NAME.fullmatch(model)
    return bool(named) and not Path(model).exists()


def _plain(path: str) -> str:
    """Return the last name of a path; nothing if that leads elsewhere, as `..` and `~` do."""
    name = Path(path).name
    return "" if name == ".." or name.startswith("~") or len(name) > LONGEST_NAME else name


def _of_run(run: str, workdir: Path) -> Iterator[Path]:
    """Yield where the run of that name under `workdir`, if there is one, found its model."""
    if (name := _plain(run)) and (folder := workdir / RUNS / name).is_dir():
        yield Path(read_run(folder, workdir).spec.model).expanduser()
