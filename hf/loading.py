"""Choose the adapter for a checkpoint, read the weights, and make the model prove itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import CheckpointError, PrunekitError, UnfitModel, blaming
from prunekit.core.interfaces import OWN_DTYPE, ModelAdapter, Spec
from prunekit.core.registry import Entry, Registry, load
from prunekit.hf.checkpoint import Checkpoint, auto_class, find, first_line, readable
from prunekit.hf.proof import prove

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel


def load_adapter(spec: Spec, registry: Registry | None = None) -> ModelAdapter:
    """The model of `spec`, ready to run block by block; the families are those installed.

    Raises CheckpointError if no adapter or more than one fits, if the weights cannot be
    read, and where running block by block does not give what the model itself gives.
    """
    registry = registry or load()
    checkpoint = find(spec, registry).opened()
    entry = choose_adapter(checkpoint.config(), spec.adapter, registry)
    device = resolve_device(spec.device)
    with _as_this_family(entry.name, checkpoint, spec.adapter is not None):
        adapter: ModelAdapter = entry.cls.load(checkpoint, device, spec.dtype)
        prove(adapter)
    return adapter


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

    advice = "; leave out --adapter, and prunekit chooses the family itself" if chosen else ""
    return CheckpointError(
        f"the adapter {name!r} cannot run {checkpoint.source}, a model of type "
        f"{checkpoint.config().model_type!r}, block by block with transformers "
        f"{transformers.__version__}: {reason}{advice}"
    )


def choose_adapter(config: PretrainedConfig, name: str | None, registry: Registry) -> Entry:
    """The adapter called `name`, or the one that says best that it handles `config`."""
    if name is not None:
        return registry.get("model", name)
    entries = [e for e in registry.entries if e.kind == "model"]
    claims = {entry: _claim(entry, config, registry) for entry in entries}
    best = max(claims.values(), default=0)
    found = [entry for entry in entries if claims[entry] == best > 0]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(registry.label(e) for e in found or entries))
    reason = "more than one model family handles" if found else "no model family handles"
    raise CheckpointError(
        f"{reason} model type {config.model_type!r}; choose with --adapter from: {names}"
        f"{registry.quoted_failures(', model ')}"
    )


def _claim(entry: Entry, config: PretrainedConfig, registry: Registry) -> int:
    """Ask how well a family handles a model; one that fails is noted and handles none."""
    try:
        with blaming("model", entry.cls):
            return int(entry.cls.handles(config))
    except PrunekitError as error:
        registry.failures[entry.label] = str(error)
        return 0


def resolve_device(name: str) -> str:
    """`auto` is the first of cuda, mps and cpu that there is; a missing device is an error."""
    import torch

    known = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    known += ["mps"] if torch.backends.mps.is_available() else []
    known += ["cpu"]
    if name == "auto":
        return known[0].partition(":")[0]
    if name not in known and not (name == "cuda" and known[0] == "cuda:0"):
        raise CheckpointError(f"--device {name}: not there; this machine has: {', '.join(known)}")
    return name


def read_model(checkpoint: Checkpoint, device: str, dtype: str) -> PreTrainedModel:
    """Load the model. Raises CheckpointError if weights are missing, broken or left over."""
    config = checkpoint.config()
    with readable(checkpoint):
        loaded: Any = auto_class(config).from_pretrained(
            checkpoint.source,
            revision=checkpoint.revision,
            trust_remote_code=checkpoint.trust_remote_code,
            dtype=resolve_dtype(dtype, device, checkpoint),
            use_safetensors=True,
            output_loading_info=True,
        )
    model, report = loaded
    wrong = {k: sorted(map(str, v)) for k, v in report.items() if v}
    if wrong:
        what = "; ".join(f"{k.replace('_', ' ')}: {', '.join(v[:3])}" for k, v in wrong.items())
        raise CheckpointError(
            f"{checkpoint.source}: the weights do not fit the configuration ({what}); "
            "the checkpoint is damaged or belongs to another model"
        )
    whole: PreTrainedModel = model.to(device)
    return whole


def resolve_dtype(name: str, device: str, checkpoint: Checkpoint) -> torch.dtype:
    """`own` is the checkpoint's; `auto` is the same where the device runs it well, else float32."""
    import torch

    if name not in ("auto", OWN_DTYPE):
        return getattr(torch, name)  # type: ignore[no-any-return]
    own = checkpoint.dtype()
    return own if name == OWN_DTYPE or _runs(own, device) else torch.float32


def _runs(dtype: torch.dtype, device: str) -> bool:
    """True if the device multiplies in `dtype` instead of converting it at every step."""
    import torch

    if device == "cpu":
        able = torch.cpu.get_capabilities()
        return dtype is torch.bfloat16 and bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    if dtype is torch.bfloat16 and device.startswith("cuda"):
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True
