"""Find the dense model that a checkpoint was made of, which knows it by name and weights alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError, PrunekitError
from prunekit.core.interfaces import Spec
from prunekit.core.registry import load
from prunekit.engine.runs import read_run
from prunekit.hf.checkpoint import DEMO, HUB_NAME, find


def find_dense(spec: Spec, record: Mapping[str, Any], workdir: Path) -> Spec:
    """The model that the checkpoint `spec`, with this `prunekit.json`, was made of.

    A folder is looked for by its name: beside the checkpoint, in the current directory, and where
    the run that chose the blocks had it. Raises ConfigError where none has the right weights.
    """
    reason = ""
    for model in _places(spec, record, workdir):
        name, _, commit = record["weights"].rpartition("@")
        dense = replace(spec, model=model, revision=commit if name == model else None, adapter=None)
        try:
            if find(dense, load()).identity() == record["weights"]:
                return dense
            reason = f"{model} has other weights than it was made of"
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
    """The name itself if it is a demo or a name on the hub, else folders that are there.

    A file says these names, so none of them may lead to a place that it chooses.
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
    yield from (str(folder) for folder in folders if folder.is_dir())


def _on_hub(model: str, weights: str) -> bool:
    named = weights.startswith(f"{model}@") and HUB_NAME.fullmatch(model)
    return bool(named) and not Path(model).exists()


def _plain(path: str) -> str:
    """The last name of a path; empty where that leads to another folder, as `..` and `~` do."""
    name = Path(path).name
    return "" if name == ".." or name.startswith("~") else name


def _of_run(run: str, workdir: Path) -> Iterator[Path]:
    """Where the run of that name under `workdir`, if there is one, found its model."""
    if (name := _plain(run)) and (folder := workdir / "runs" / name).is_dir():
        yield Path(read_run(folder, workdir).spec.model).expanduser()
