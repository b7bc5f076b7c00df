"""Choose the adapter for a checkpoint, read the weights, and verify the model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from prunekit.core.errors import CheckpointError, PrunekitError, UnfitModel, blaming
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.registry import Entry, Registry, load
from prunekit.core.spec import Known, Spec
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.decoder import DecoderAdapter
from prunekit.hf.guard import Guard
from prunekit.hf.kinds import other_kind
from prunekit.hf.prefix import one_line_errors
from prunekit.hf.proof import name_of_proof, prove
from prunekit.hf.unreadable import first_line

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def load_adapter(spec: Spec, registry: Registry | None = None) -> ModelAdapter:
    """Load the model of `spec`, ready to run block by block, with the installed families.

    That it does so rightly is proved, unless `spec.known` has that proof or none is needed.
    Raises CheckpointError if no adapter or more than one fits, if the weights cannot be read, if
    running block by block does not reproduce the model's own output, or if `spec.repairing` cannot
    repair such a model.
    """
    registry = registry or load()
    checkpoint = find(spec, registry).opened()
    entry = choose_adapter(checkpoint.config(), spec.adapter, registry)
    device = resolve_device(spec.device)
    chosen = spec.adapter is not None
    with _as_this_family(entry.name, checkpoint, chosen), Guard().watching():
        adapter: ModelAdapter = entry.cls.load(checkpoint, device, spec.dtype)
        _prove(adapter, checkpoint, spec.known)
    return _repaired(adapter, checkpoint, spec) if spec.repairing else adapter


def _repaired(adapter: ModelAdapter, checkpoint: Checkpoint, spec: Spec) -> ModelAdapter:
    assert spec.repairing is not None
    try:
        with one_line_errors("model", adapter):
            repaired: ModelAdapter = spec.repairing.applied(
                adapter, checkpoint, spec.tokens_per_forward
            )
    except UnfitModel as error:
        raise CheckpointError(
            f"{checkpoint.source} cannot be repaired: {error}; search without --repair"
        ) from error
    return repaired


def _prove(adapter: ModelAdapter, checkpoint: Checkpoint, known: Known) -> None:
    if known.only_timed:
        return
    proof = name_of_proof(adapter, checkpoint.identity())
    if proof not in known.proofs:
        prove(adapter)
    adapter.facts = replace(adapter.facts, proof=proof)


@contextlib.contextmanager
def _as_this_family(name: str, checkpoint: Checkpoint, chosen: bool) -> Iterator[None]:
    """Report a failure to run a model as a user error (wrong adapter or model), not a bug."""
    try:
        yield
    except UnfitModel as error:
        raise _unfit(name, checkpoint, chosen, str(error)) from error
    except PrunekitError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise _unfit(name, checkpoint, chosen, reason) from error


def _unfit(name: str, checkpoint: Checkpoint, chosen: bool, reason: str) -> CheckpointError:
    import transformers

    advice = "; drop --adapter to let prunekit choose the family" if chosen else ""
    return CheckpointError(
        f"the adapter {name!r} cannot run {checkpoint.source}, a model of type "
        f"{checkpoint.config().model_type!r}, block by block with transformers "
        f"{transformers.__version__}: {reason}{advice}"
    )


def choose_adapter(config: PretrainedConfig, name: str | None, registry: Registry) -> Entry:
    """Return the adapter called `name`, or the best match for `config`.

    Raises CheckpointError if there is none, or if it runs decoders only and the model is none.
    """
    entry = registry.get("model", name) if name is not None else _best(config, registry)
    if issubclass(entry.cls, DecoderAdapter) and (kind := other_kind(config)):
        raise _no_decoder(config, kind)
    return entry


def _no_decoder(config: PretrainedConfig, kind: str) -> CheckpointError:
    return CheckpointError(
        f"{config.name_or_path or 'this model'} is {kind}; expected a model that predicts the next "
        "token from those before it, as AutoModelForCausalLM loads one; give such a model"
    )


def _best(config: PretrainedConfig, registry: Registry) -> Entry:
    """Return the family that claims a model most. Raises CheckpointError without exactly one."""
    entries = [e for e in registry.entries if e.kind == "model"]
    claims = {entry: _claim(entry, config, registry) for entry in entries}
    best = max(claims.values(), default=0)
    found = [entry for entry in entries if claims[entry] == best > 0]
    if len(found) == 1:
        return found[0]
    if not found and (kind := other_kind(config)):
        raise _no_decoder(config, f"{kind}{registry.quoted_failures(', model ')}")
    names = ", ".join(sorted(registry.label(e) for e in found or entries))
    reason = "more than one model family handles" if found else "no model family handles"
    raise CheckpointError(
        f"{reason} model type {config.model_type!r}; choose with --adapter from: {names}"
        f"{registry.quoted_failures(', model ')}"
    )


def _claim(entry: Entry, config: PretrainedConfig, registry: Registry) -> int:
    """Return how well a family handles a model; 0, and a note, if it fails to answer."""
    try:
        with blaming("model", entry.cls):
            return int(entry.cls.handles(config))
    except PrunekitError as error:
        registry.failures[entry.label] = str(error)
        return 0


def resolve_device(name: str) -> str:
    """Resolve `auto` to the first available of cuda, mps and cpu; check any other device."""
    import torch

    known = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    known += ["mps"] if torch.backends.mps.is_available() else []
    known += ["cpu"]
    if name == "auto":
        return known[0].partition(":")[0]
    if name not in known and not (name == "cuda" and known[0] == "cuda:0"):
        raise CheckpointError(
            f"--device {name}: not available; this machine has: {', '.join(known)}"
        )
    return name
