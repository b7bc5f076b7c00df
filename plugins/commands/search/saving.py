"""Write what a search chose: before it, find out whether that can be; afterwards, do it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from prunekit.core.errors import ConfigError, Remark, StorageError
from prunekit.core.registry import Registry
from prunekit.engine.config import SearchConfig
from prunekit.engine.escaping import shell_word
from prunekit.engine.exportable import fit_to_checkpoint
from prunekit.engine.files import check_target
from prunekit.engine.plan import Plan, resolve
from prunekit.engine.progress import Progress
from prunekit.engine.provenance import read_provenance
from prunekit.engine.repairing import FILE as PATCHES
from prunekit.engine.result import SearchResult
from prunekit.engine.runs import read_run
from prunekit.engine.variant import Variant
from prunekit.hf.gguf_checkpoint import is_gguf
from prunekit.hf.patch_file import StoredPatches
from prunekit.plugins.commands.export.export import export_checkpoint
from prunekit.plugins.commands.export.gguf import check_is_possible, export_gguf


def prepare(config: SearchConfig, registry: Registry, save: str | Path | None = None) -> Plan:
    """Make the plan of a search, narrowed to what can be written if it is to be saved.

    Warns with a Remark if it had to be narrowed, and if other programs may take what is written for
    another model. Raises ConfigError, StorageError or CheckpointError if nothing could be written.
    """
    if not save:
        return resolve(config, registry)
    check_target(Path(save), gguf=True)
    plan = replace(fit_to_checkpoint(resolve(config, registry)), to_save=True)
    read_provenance(Path(plan.spec.model))  # a damaged one is an error now, not after the search
    if is_gguf(Path(save).name):
        _check_gguf(plan, Path(save))
    for remark in filter(None, (plan.remark, _remark_on_pattern(plan))):
        warnings.warn(remark, Remark, stacklevel=2)
    return plan


def _check_gguf(plan: Plan, to: Path) -> None:
    check_is_possible(plan.spec, to)
    if breakable := _breakable_pattern(plan):
        raise ConfigError(f"{to}: {breakable}; add --keep-pattern", ("keep_pattern",))


def _remark_on_pattern(plan: Plan) -> str:
    breakable = _breakable_pattern(plan)
    return breakable and (
        f"{breakable}; what is saved may run in transformers only, unless --keep-pattern is given"
    )


def _breakable_pattern(plan: Plan) -> str:
    """Say which pattern of kinds of blocks the search may break; nothing if there is none."""
    if plan.pattern is None or plan.config.settings.keep_pattern:
        return ""
    return (
        f"the kinds of blocks repeat every {plan.pattern.period} blocks "
        f"({', '.join(plan.pattern.kinds)}), and llama.cpp and others rely on that"
    )


def save_result(plan: Plan, result: SearchResult, to: Path, progress: Progress) -> None:
    """Write the checkpoint, or the GGUF file, without the blocks that a search chose."""
    removed, spec, run = frozenset(result.removed), plan.spec, Path(result.run)
    if result.repair:
        patches = StoredPatches.at(run / PATCHES, result.repair.digest)
        spec = replace(spec, repairing=patches)
    try:
        if is_gguf(to.name):
            export_gguf(Variant(spec, removed, read_run(run, run.parent)), to, progress)
        else:
            found = result.as_dict()
            export_checkpoint(spec, removed, to, None, found, plan.config, progress=progress)
    except StorageError as error:
        raise StorageError(
            f"{error}. What was found is kept: `prunekit export --run {shell_word(result.run)} "
            "--to PLACE` writes it elsewhere"
        ) from error
