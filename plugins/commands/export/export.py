"""Write a checkpoint without the removed blocks, and verify it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import CheckpointError, ConfigError, Remark, UnfitModel
from prunekit.core.options import suggest
from prunekit.core.problem import DENSE, Subset, words
from prunekit.core.registry import load
from prunekit.core.spec import OWN_DTYPE, Spec
from prunekit.engine.arguments import takes
from prunekit.engine.choice import choose
from prunekit.engine.config import SearchConfig, Settings
from prunekit.engine.files import check_target, rename_into_place, writing
from prunekit.engine.progress import Progress
from prunekit.engine.provenance import FILE, earlier_removals, portable, provenance
from prunekit.engine.quiet import quietly
from prunekit.engine.variant import MODEL_SETTINGS, check_blocks, check_weights
from prunekit.hf.checkpoint import find
from prunekit.hf.gguf_checkpoint import is_gguf
from prunekit.hf.loading import load_adapter
from prunekit.hf.model_config import FILE as CONFIG
from prunekit.hf.model_config import config_json
from prunekit.hf.patterns import broken_pattern
from prunekit.hf.roundtrip import Expectation, check_checkpoint, check_dtype, check_model, sharing
from prunekit.hf.side_files import copy_side_files
from prunekit.hf.tensors import dtype_called
from prunekit.hf.weights import write_weights
from prunekit.plugins.commands.evaluate.store import read_record
from prunekit.plugins.commands.export.gguf import check_is_possible, export_gguf
from prunekit.plugins.commands.export.model_card import FILE as CARD
from prunekit.plugins.commands.export.model_card import model_card
from prunekit.plugins.commands.export.recipes import RECIPES, write_recipe

FORMATS = ("hf", *RECIPES)


@takes(Settings, settings=MODEL_SETTINGS)
@quietly()
def export(
    model: str | None = None,
    *,
    to: str | Path,
    remove: Iterable[int] | None = None,
    run: str | Path | None = None,
    budget: int | None = None,
    format: str = "hf",
    dtype: str | None = None,
    workdir: str | Path = "prunekit-runs",
    progress: Reporting = False,
    **given: Any,
) -> Path:
    """Write `model` without the blocks `remove`, or without those that a search `run` chose.

    `run` is the folder of a run, or its name under `workdir`, or a cell of a study, by its file or
    as `STUDY/CELL`; a smaller `budget` than its own takes
    the best subset of that size that it measured, as if it were named by hand. Weights keep their
    stored dtype unless `dtype` is given. `given` may hold `adapter`, `revision`,
    `trust_remote_code` and `device`. Returns the path `to`: a checkpoint's folder, or, with the
    `format` `mergekit` or `llama.cpp`, a file from which that tool makes the model.
    A model that was read from a .gguf file is written as one, if `to` ends so.

    Raises PrunekitError, and then leaves nothing at `to`.
    """
    target = Path(to)
    check_target(target, gguf=True)
    if format not in FORMATS:
        raise ConfigError(f"no format is called {format!r}.{suggest(format, FORMATS)}")
    variant = choose(model, remove, run, workdir, given, budget=budget)
    with reporting(progress) as shown:
        if is_gguf(target.name):
            check_is_possible(variant.spec, target, format, dtype)
            export_gguf(variant, target, shown)
        elif format == "hf":
            found = variant.run
            known: dict[str, Any] = {}
            if found:
                known = {"result": found.result, "config": found.config}
                known["evaluation"] = read_record(found.folder)
            how: dict[str, Any] = {"dtype": dtype, "progress": shown}
            export_checkpoint(variant.spec, variant.removed, target, **how, **known)
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
    more: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
    progress: Progress | None = None,
) -> None:
    """Write the checkpoint under a temporary name, check it, then rename it into place.

    `result`, `config` and `evaluation` are those of the search that chose the blocks. They go into
    `prunekit.json` and the model card, and the model must still have the weights of the search.
    So does what `more` returns, which is given the folder before it gets its name.
    """
    check_target(to)
    spec, registry = dataclasses.replace(spec, dtype=dtype or OWN_DTYPE), load()
    checkpoint = find(spec, registry)
    progress = progress or Progress()
    progress.begin("loading the model")
    adapter = load_adapter(spec, registry)
    check_blocks(removed, adapter.facts.n_blocks)
    check_weights(adapter.facts.fingerprint["weights"], result, spec.model)
    expected = Expectation.of(adapter, removed)
    place = Path(spec.model) if is_gguf(spec.model) else checkpoint.folder()
    before = earlier_removals(place, adapter.facts.n_blocks)
    record = provenance(spec.model, adapter.facts, removed, result, config, evaluation, before)
    record["remark"] = broken_pattern(checkpoint.config(), removed)
    if record["remark"]:  # a warning, which users can turn into an error
        warnings.warn(f"{to}: {record['remark']}", Remark, stacklevel=2)
    with adapter.bypassing(DENSE) as dense:
        pass  # with no block bypassed this is the model itself, also outside of the context
    with _refusing(spec.model, removed):
        spent = sharing(adapter, dense)
        pruned = spent.without(removed)
        changed = {name: pruned.get_parameter(name) for name in spent.rewritten}
        check_model(pruned, expected, dense)
        settings = config_json(checkpoint, removed, dtype)
    with rename_into_place(to) as folder:
        progress.begin("writing the checkpoint")
        with writing(to):
            wanted = dtype_called(dtype) if dtype else None
            write_weights(pruned, checkpoint, removed, folder, wanted, changed)
            (folder / CONFIG).write_text(settings, encoding="utf-8")
            copy_side_files(checkpoint, folder)
        del adapter, dense, spent, pruned, changed  # to free memory for the model that is read back
        progress.begin("reading it back")
        record["proof"] = dataclasses.asdict(check_checkpoint(folder, expected, checkpoint))
        check_dtype(folder, checkpoint, dtype)
        record |= more(folder)
        card = model_card(record, config and portable(config), checkpoint.folder())
        with writing(to):
            record["checkpoint"] = find(Spec(str(folder)), registry).identity()
            (folder / FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            (folder / CARD).write_text(card, encoding="utf-8")


@contextlib.contextmanager
def _refusing(model: str, removed: Subset) -> Iterator[None]:
    """Raise CheckpointError, with the reason, if the pruned model cannot be written."""
    import transformers

    try:
        yield
    except UnfitModel as error:
        raise CheckpointError(
            f"{model} without blocks {words(removed)} cannot be written as a checkpoint that "
            f"transformers {transformers.__version__} loads, so nothing was: {error}. Other blocks "
            "may work; --protect keeps blocks out of a search"
        ) from error
