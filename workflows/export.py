"""Write a checkpoint without the removed blocks, and prove that it is the model it claims to be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunekit.core.checkpoint import find
from prunekit.core.errors import ConfigError
from prunekit.core.files import rename_into_place, writing
from prunekit.core.interfaces import OWN_DTYPE, ModelFacts, Spec
from prunekit.core.loading import load_adapter
from prunekit.core.problem import Subset, words
from prunekit.core.registry import load
from prunekit.core.roundtrip import Expectation, check_checkpoint
from prunekit.workflows.config import parse
from prunekit.workflows.plan import spec_of
from prunekit.workflows.provenance import FILE, provenance
from prunekit.workflows.quiet import quiet_libraries
from prunekit.workflows.runs import read_run


def export(
    model: str | None = None,
    *,
    to: str | Path,
    remove: Iterable[int] | None = None,
    run: str | Path | None = None,
    dtype: str | None = None,
    workdir: str | Path = "prunekit-runs",
    **given: Any,
) -> Path:
    """Write `model` without the blocks `remove`, or without those that a search `run` chose.

    `run` is a run's folder, or its name under `workdir`. Weights keep the dtype in which they are
    stored unless another is named. `given` may hold `adapter`, `revision`, `trust_remote_code` and
    `device`. Returns the folder.

    Raises PrunekitError, and then nothing stands at `to`.
    """
    quiet_libraries()
    target = Path(to)
    check_target(target)
    if (run is None) == (remove is None):
        raise ConfigError("give either a run or the blocks to remove, one of the two")
    if run is None:
        settings = parse({"model": model, **given}, load()).settings
        export_checkpoint(spec_of(settings), as_subset(remove or ()), target, dtype)
        return target
    if model is not None or given:
        named = ", ".join([*(["model"] if model is not None else []), *given])
        raise ConfigError(f"{named}: a run knows this itself; leave it out, or give --remove")
    source = read_run(Path(run), Path(workdir))
    export_checkpoint(source.spec, source.removed, target, dtype, source.result)
    return target


def export_checkpoint(
    spec: Spec,
    removed: Subset,
    to: Path,
    dtype: str | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Write the checkpoint under a temporary name, check it, then rename it into place.

    `result` is that of the search that chose the blocks: its weights must be those of the model
    now, and it goes into `prunekit.json`.
    """
    check_target(to)
    spec = replace(spec, dtype=dtype or OWN_DTYPE)
    registry = load()
    checkpoint = find(spec, registry)
    adapter = load_adapter(spec, registry)
    _check_blocks(removed, adapter.facts.n_blocks)
    _check_weights(adapter.facts, result, spec.model)
    expected = Expectation.of(adapter, removed)
    record = provenance(spec.model, adapter.facts, removed, result)
    with rename_into_place(to) as folder:
        with writing(to):
            adapter.without(removed).save_pretrained(folder)
            checkpoint.tokenizer().save_pretrained(folder)
            (folder / FILE).write_text(record, encoding="utf-8")
        del adapter  # its memory is needed for the model that is read back
        check_checkpoint(folder, expected, spec.trust_remote_code)


def as_subset(blocks: Iterable[int]) -> Subset:
    """The blocks as a set; ConfigError where one is no number or is named twice."""
    listed = list(blocks) if isinstance(blocks, Iterable) else [blocks]
    if not isinstance(blocks, Iterable) or not all(isinstance(i, int) for i in listed):
        raise ConfigError(f"expected block numbers, counted from 0, as [9, 12]; got {blocks!r}")
    twice = {i for i in listed if listed.count(i) > 1}
    if twice:
        raise ConfigError(f"named twice: {words(twice)}; name each block once")
    return frozenset(listed)


def check_target(to: Path) -> None:
    """ConfigError where `to` exists, since nothing is overwritten, or cannot be written."""
    if to.exists():
        raise ConfigError(f"{to} exists already; choose a new folder, or remove that one")
    above = next(folder for folder in to.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ConfigError(f"{to} cannot be written: {above} is no folder that you may write to")


def _check_blocks(removed: Subset, n_blocks: int) -> None:
    wrong = [i for i in removed if not 0 <= i < n_blocks]
    if wrong:
        raise ConfigError(
            f"no such block: {words(wrong)}; this model has blocks 0 to {n_blocks - 1}"
        )
    if not 0 < len(removed) < n_blocks:
        raise ConfigError(
            f"{len(removed)} of {n_blocks} blocks cannot be removed; name at least one, not all"
        )


def _check_weights(facts: ModelFacts, result: Mapping[str, Any] | None, model: str) -> None:
    if result is not None and result["weights"] != facts.fingerprint["weights"]:
        raise ConfigError(
            f"{model} is no longer the model that was searched: its weights have changed; search "
            "again, or name the blocks with --remove"
        )
