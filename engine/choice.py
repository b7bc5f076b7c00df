"""Choose a model and the blocks to remove: by hand, from a run, or from a cell of a study."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.registry import Registry, load
from prunekit.core.spec import Spec
from prunekit.engine.config import TRUST, parse
from prunekit.engine.config_file import read_yaml
from prunekit.engine.plan import OF_LOADING, spec_of
from prunekit.engine.runs import STUDIES
from prunekit.engine.stored import read_stored
from prunekit.engine.study_folder import AGAIN, CellResult, StudyFolder, slug
from prunekit.engine.variant import Variant, check_weights, choose_variant
from prunekit.hf.checkpoint import find


def choose(
    model: str | None,
    remove: Iterable[int] | None,
    run: str | Path | None,
    workdir: str | Path,
    given: Mapping[str, Any],
    anew: Collection[str] = (),
    budget: int | None = None,
) -> Variant:
    """Return what `choose_variant` does, where `run` may be a cell of a study, too.

    A cell is named by its file, or as STUDY/CELL of the studies under `workdir`. What it chose, or
    the winner among its finalists, is taken as if it were named by hand.
    """
    file = cell_file(Path(run), Path(workdir)) if run is not None else None
    if file is None or remove is not None:
        return choose_variant(model, remove, run, workdir, given, anew, budget)
    others = {"model": model, "budget": budget, **{k: given[k] for k in given if k not in anew}}
    if known := [name for name, value in others.items() if value is not None and name != TRUST]:
        raise ConfigError(
            f"{', '.join(known)}: a cell of a study knows this itself; leave it out, or give "
            "--remove"
        )
    return _of_cell(file, given)


def cell_file(run: Path, workdir: Path) -> Path | None:
    """Return the file of a cell; None for anything else, such as the folder of a run."""
    named = workdir / STUDIES / run.parent / "cells" / f"{run.name}.json"
    if run.is_file() and run.parent.name == "cells":
        return run
    return named if len(run.parts) == 2 and not run.is_dir() and named.is_file() else None


def _of_cell(file: Path, given: Mapping[str, Any]) -> Variant:
    """Raises ConfigError if nothing was chosen, or if the model has changed."""
    study, registry = file.parent.parent, load()
    found = _result(study, file)
    spec = _spec(study, found.cell.model, registry)
    settings = asdict(parse(given, registry).settings)
    spec = replace(spec, trust_remote_code=False, **{name: settings[name] for name in given})
    path = study / "models" / f"{slug(found.cell.model)}.json"
    origin = read_stored(path, None, {"fingerprint": Mapping[str, str]}, AGAIN)
    weights = origin["fingerprint"].get("weights", "")
    name, _, commit = weights.rpartition("@")
    if name == spec.model:
        spec = replace(spec, revision=commit)
    check_weights(find(spec, registry).identity(), {"weights": weights}, spec.model)
    return Variant(spec, found.choices[-1])


def _result(study: Path, file: Path) -> CellResult:
    folder = StudyFolder(study)
    found = next((folder.cell(c) for c in folder.cells() if c.id == file.stem), None)
    if not isinstance(found, CellResult):
        why = found.error if found else "the study no longer plans it"
        raise ConfigError(f"{file}: nothing was chosen: {why}; choose another cell")
    if found.loss is None:
        raise ConfigError(f"{file}: its search found no finite loss; choose another cell")
    return found


def _spec(study: Path, label: str, registry: Registry) -> Spec:
    """Return how the study loads a model."""
    file = study / "study.yaml"
    data, _ = read_yaml(file, "models: {demo: {}}")
    models = data.get("models")
    said = models.get(label) if isinstance(models, Mapping) else None
    if not isinstance(said, Mapping):
        raise ConfigError(f"{file}: models: expected {label}; {AGAIN}")
    shared = {name: data[name] for name in OF_LOADING if name in data}
    own = {name: value for name, value in said.items() if name != "config"}  # its shape: not needed
    given = {**shared, "model": label, **own}
    try:
        return spec_of(parse(given, registry).settings)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
