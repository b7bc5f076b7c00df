"""Write a checkpoint without the removed blocks, and prove that it is the model it claims to be."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError, ConfigError, Remark, UnfitModel
from prunekit.core.interfaces import OWN_DTYPE, Spec
from prunekit.core.options import suggest
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.registry import load
from prunekit.engine.config import SearchConfig
from prunekit.engine.files import check_writable, rename_into_place, writing
from prunekit.engine.provenance import FILE, portable, provenance
from prunekit.engine.quiet import quietly
from prunekit.engine.variant import check_blocks, check_weights, choose_variant
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter
from prunekit.hf.model_config import FILE as CONFIG
from prunekit.hf.model_config import config_json
from prunekit.hf.patterns import broken_pattern
from prunekit.hf.roundtrip import Expectation, check_checkpoint, check_dtype, check_model
from prunekit.hf.sharing import sharing
from prunekit.hf.side_files import copy_side_files
from prunekit.hf.weights import write_weights
from prunekit.plugins.commands.evaluate.store import read_record
from prunekit.plugins.commands.export.model_card import FILE as CARD
from prunekit.plugins.commands.export.model_card import model_card
from prunekit.plugins.commands.export.recipes import RECIPES, write_recipe

if TYPE_CHECKING:
    import torch

FORMATS = ("hf", *RECIPES)


@quietly()
def export(
    model: str | None = None,
    *,
    to: str | Path,
    remove: Iterable[int] | None = None,
    run: str | Path | None = None,
    format: str = "hf",
    dtype: str | None = None,
    workdir: str | Path = "prunekit-runs",
    **given: Any,
) -> Path:
    """Write `model` without the blocks `remove`, or without those that a search `run` chose.

    `run` is a run's folder, or its name under `workdir`. Weights keep the dtype in which they are
    stored unless another is named. `given` may hold `adapter`, `revision`, `trust_remote_code` and
    `device`. Returns what was written: the folder, or for another `format` than `hf` a file for
    that tool to make the model by, `mergekit` or `llama.cpp`.

    Raises PrunekitError, and then nothing stands at `to`.
    """
    target = Path(to)
    check_target(target)
    if format not in FORMATS:
        raise ConfigError(f"no format is called {format!r}.{suggest(format, FORMATS)}")
    variant = choose_variant(model, remove, run, workdir, given)
    if format == "hf":
        found = variant.run
        known = (found.result, found.config, read_record(found.folder)) if found else ()
        export_checkpoint(variant.spec, variant.removed, target, dtype, *known)
    else:
        write_recipe(variant, format, target, dtype)
    return target


def export_checkpoint(
    spec: Spec,
    removed: Subset,
    to: Path,
    dtype: str | None = None,
    result: Mapping[str, Any] | None = None,
    config: SearchConfig | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> None:
    """Write the checkpoint under a temporary name, check it, then rename it into place.

    `result` is that of the search that chose the blocks, `config` what it was told, and
    `evaluation` what was found of it: its weights must be those of the model now, and all three go
    into `prunekit.json` and the model card.
    """
    check_target(to)
    spec = replace(spec, dtype=dtype or OWN_DTYPE)
    registry = load()
    checkpoint = find(spec, registry)
    adapter = load_adapter(spec, registry)
    check_blocks(removed, adapter.facts.n_blocks)
    check_weights(adapter.facts.fingerprint["weights"], result, spec.model)
    expected = Expectation.of(adapter, removed)
    record = provenance(spec.model, adapter.facts, removed, result, config, evaluation)
    if remark := broken_pattern(checkpoint.config(), removed):  # an error if the user wants that
        warnings.warn(f"{to}: {remark}", Remark, stacklevel=2)
    record["remark"] = remark
    card = model_card(record, config and portable(config), registry, checkpoint.folder())
    with adapter.bypassing(DENSE) as dense:
        pass  # with nothing bypassed it is the model itself, and stays so
    with _refusing(spec.model, removed):
        pruned = sharing(adapter, dense).without(removed)
        check_model(pruned, expected, dense)
        settings = config_json(checkpoint, removed, dtype)
    with rename_into_place(to) as folder:
        with writing(to):
            write_weights(pruned, checkpoint, removed, folder, _torch_dtype(dtype))
            (folder / CONFIG).write_text(settings, encoding="utf-8")
            copy_side_files(checkpoint, folder)
            (folder / FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            (folder / CARD).write_text(card, encoding="utf-8")
        del adapter, dense, pruned  # their memory is needed for the model that is read back
        check_checkpoint(folder, expected, spec.trust_remote_code)
        check_dtype(folder, checkpoint, dtype)


@contextlib.contextmanager
def _refusing(model: str, removed: Subset) -> Iterator[None]:
    """Say of a model that cannot be written why not, before a byte is."""
    import transformers

    try:
        yield
    except UnfitModel as error:
        raise CheckpointError(
            f"{model} without blocks {words(removed)} cannot be written as a checkpoint that "
            f"transformers {transformers.__version__} loads, so nothing was: {error}. Other blocks "
            "may do; --protect keeps blocks out of a search"
        ) from error


def _torch_dtype(name: str | None) -> torch.dtype | None:
    import torch

    return None if name is None else getattr(torch, name)


def check_target(to: Path) -> None:
    """ConfigError where `to` exists, as nothing is overwritten; StorageError if it cannot be."""
    if os.path.lexists(to):
        raise ConfigError(f"{to} exists already; choose another name, or remove it")
    check_writable(to)
