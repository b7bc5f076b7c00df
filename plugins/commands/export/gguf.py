"""Export a GGUF file as one: the same file without the removed blocks, proved."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from prunekit.core.errors import CheckpointError, ConfigError, UnfitModel
from prunekit.core.problem import DENSE, words
from prunekit.core.registry import load
from prunekit.core.spec import OWN_DTYPE, ModelFacts, Spec
from prunekit.engine.files import writing
from prunekit.engine.progress import Progress
from prunekit.engine.provenance import earlier_removals, provenance
from prunekit.engine.variant import Variant, check_blocks, check_weights
from prunekit.hf.checkpoint import find
from prunekit.hf.gguf_checkpoint import checked_gguf, dtype_of_gguf, is_gguf, model_of_gguf
from prunekit.hf.gguf_file import read_gguf
from prunekit.hf.gguf_pruned import write_pruned_gguf
from prunekit.hf.loading import load_adapter
from prunekit.hf.patterns import broken_pattern
from prunekit.hf.readback import Proof
from prunekit.hf.roundtrip import Expectation, check_model
from prunekit.plugins.commands.evaluate.store import read_record


def check_is_possible(spec: Spec, to: Path, format: str = "hf", dtype: str | None = None) -> None:
    """Raise ConfigError unless a model that came as a GGUF file is to be written as one."""
    if not is_gguf(spec.model) or not Path(spec.model).is_file():
        raise ConfigError(
            f"{to}: only a model that is read from a .gguf file is written as one; name a folder, "
            "and convert it with llama.cpp's convert_hf_to_gguf.py"
        )
    if spec.repairing:
        raise ConfigError(
            f"{to}: a repair changes weights, which a .gguf file keeps as they are; name a folder, "
            "and convert it with llama.cpp's convert_hf_to_gguf.py"
        )
    if format != "hf" or dtype is not None:
        raise ConfigError(
            f"{to}: a .gguf file keeps its tensors as they are; leave --format and --dtype out"
        )


def export_gguf(variant: Variant, to: Path, progress: Progress) -> Proof:
    """Write the file; return the proof that it is the model with the blocks bypassed.

    Raises CheckpointError or StorageError, and then leaves nothing at `to`.
    """
    registry = load()
    spec = replace(variant.spec, dtype=OWN_DTYPE, device="cpu")
    source = checked_gguf(Path(spec.model))
    checkpoint = find(spec, registry)
    if reason := broken_pattern(checkpoint.config(), variant.removed):
        raise CheckpointError(f"{to}: {reason}; or name a folder to write")
    progress.begin("loading the model")
    adapter = load_adapter(spec, registry)
    check_blocks(variant.removed, adapter.facts.n_blocks)
    result = variant.run.result if variant.run else None
    check_weights(adapter.facts.fingerprint["weights"], result, spec.model)
    expected = Expectation.of(adapter, variant.removed)
    with adapter.bypassing(DENSE) as dense:
        pass
    record = _record(variant, adapter.facts)
    partial = to.with_name(f".{uuid.uuid4().hex[:8]}-{to.name}")
    try:
        progress.begin("writing the file")
        with _refusing(spec.model, variant), writing(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            write_pruned_gguf(source, variant.removed, record, partial)
        progress.begin("reading it back")
        with _refusing(spec.model, variant):
            written = model_of_gguf(read_gguf(partial), dtype_of_gguf(source))
            proof = check_model(written, expected, dense)
        with writing(to):
            os.rename(partial, to)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return proof


def _record(variant: Variant, facts: ModelFacts) -> str:
    """Return what `prunekit.json` says of a folder: the model, what was removed, and why these."""
    result = config = evaluation = None
    if variant.run:
        result, config = variant.run.result, variant.run.config
        evaluation = read_record(variant.run.folder)
    before = earlier_removals(Path(variant.spec.model), facts.n_blocks)
    return json.dumps(
        provenance(variant.spec.model, facts, variant.removed, result, config, evaluation, before)
    )


@contextlib.contextmanager
def _refusing(model: str, variant: Variant) -> Iterator[None]:
    """Name the model in an error about its metadata or its proof."""
    try:
        yield
    except UnfitModel as error:
        raise CheckpointError(
            f"{model} without blocks {words(variant.removed)} cannot be written as a GGUF file: "
            f"{error}"
        ) from error
