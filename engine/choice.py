"""Choose a model and the blocks to remove: by hand, from a run, or from a cell of a study."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.problem import Subset, words
from prunekit.core.registry import Registry, load
from prunekit.core.spec import Spec
from prunekit.engine.config import NO_REPAIR, NOT_BY_A_FILE, TRUST, parse
from prunekit.engine.config_file import read_yaml
from prunekit.engine.plan import OF_LOADING, spec_of
from prunekit.engine.repairing import FILE
from prunekit.engine.runs import STUDIES, Run, read_run, smaller_of
from prunekit.engine.stored import read_stored
from prunekit.engine.study_folder import AGAIN, CellResult, StudyFolder, slug
from prunekit.engine.variant import Variant, check_weights, has_changed
from prunekit.hf.checkpoint import find
from prunekit.hf.patch_file import StoredPatches
from prunekit.hf.side_files import tokenizer_digest


def choose(
    model: str | None,
    remove: Iterable[int] | None,
    run: str | Path | None,
    workdir: str | Path,
    given: Mapping[str, Any],
    anew: Collection[str] = (),
    budget: int | None = None,
) -> Variant:
    """Return `model` without the blocks `remove`, or what a `run` chose.

    `run` is a run's folder, its name under `workdir`, or a cell of a study, as its file or as
    STUDY/CELL. `given` holds settings of the model such as `adapter` and `device`; `anew` names
    those that may differ from the search. With a smaller `budget` than that of the run, the best
    subset of that size that it measured is taken, as if it were named by hand. So is what a cell
    chose, or the winner among its finalists.

    Raises ConfigError if it is neither or both, if a setting of the run is given again, or if its
    model has changed; nothing of it is loaded.
    """
    if (run is None) == (remove is None):
        raise ConfigError(
            "give either a run, as --run NAME, or the blocks to remove, as --remove 9,12"
        )
    if run is None:
        return _by_hand(model, remove or (), given, budget)
    file = cell_file(Path(run), Path(workdir))
    own = {"model": model, **{k: given[k] for k in given if k not in (*anew, TRUST)}}
    if file is None:
        _check_not_given(own, "a run")
        return _of_run(read_run(Path(run), Path(workdir)), given, budget)
    _check_not_given({**own, "budget": budget}, "a cell of a study")
    return _of_cell(file, given)


def _check_not_given(own: Mapping[str, Any], what: str) -> None:
    if known := [name for name, value in own.items() if value is not None]:
        raise ConfigError(
            f"{', '.join(known)}: {what} knows this itself; leave it out, or give --remove"
        )


def _by_hand(
    model: str | None, remove: Iterable[int], given: Mapping[str, Any], budget: int | None
) -> Variant:
    if budget is not None:
        raise ConfigError(
            f"budget {budget}: only a run has smaller choices; give --run NAME, or leave it out",
            ("budget",),
        )
    settings = parse({"model": model, **given}, load()).settings
    return Variant(spec_of(settings), _as_subset(remove))


def _of_run(source: Run, given: Mapping[str, Any], budget: int | None) -> Variant:
    registry = load()
    values = asdict(parse(given, registry).settings)
    spec = replace(source.spec, **{name: values[name] for name in given})
    if source.config.settings.trust_remote_code and not spec.trust_remote_code:
        raise ConfigError(f"{source.folder} was searched with {TRUST}: {NOT_BY_A_FILE}", (TRUST,))
    checkpoint = find(spec, registry)
    check_weights(checkpoint.identity(), source.result, spec.model)
    _check_tokenizer(tokenizer_digest(checkpoint), source.result, spec.model)
    if budget is None or budget == len(source.removed):
        return Variant(_with_repair(spec, source), source.removed, source)
    if source.result.get("repair"):
        raise ConfigError(
            f"budget {budget}: {source.folder.name} is repaired for its own blocks only; search "
            f"again with --budget {budget}, for which what was measured counts",
            ("budget",),
        )
    return Variant(spec, smaller_of(source, budget))


def _with_repair(spec: Spec, run: Run) -> Spec:
    """Return the model with the patches of a run, if it has any."""
    repair, searched = run.result.get("repair"), run.config.settings.repair
    if (repair["name"] if repair else NO_REPAIR) != searched.rpartition(":")[-1]:
        raise ConfigError(
            f"{run.folder}: its result and its config.yaml name different repairs; search again"
        )
    if not repair:
        return spec
    return replace(spec, repairing=StoredPatches.at(run.folder / FILE, repair["digest"]))


def _check_tokenizer(tokenizer: str, result: Mapping[str, Any], model: str) -> None:
    """Raise ConfigError if the tokenizer has changed; results of version 0.1 may not record it."""
    if result.get("tokenizer", tokenizer) != tokenizer:
        raise has_changed(model, "tokenizer has")


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


def _as_subset(blocks: Iterable[int]) -> Subset:
    """Return the blocks as a set. Raises ConfigError if one is not a number or is named twice."""
    listed = list(blocks) if isinstance(blocks, Iterable) else [blocks]
    if not isinstance(blocks, Iterable) or not all(type(i) is int for i in listed):
        raise ConfigError(f"expected block numbers, counted from 0, as [9, 12]; got {blocks!r}")
    twice = {i for i in listed if listed.count(i) > 1}
    if twice:
        raise ConfigError(f"named twice: {words(twice)}; name each block once")
    return frozenset(listed)
