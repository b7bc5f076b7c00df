"""Time a pruned model against the dense one."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from prunekit.core.errors import ConfigError, Interrupted
from prunekit.core.interfaces import Spec
from prunekit.core.options import build, options_of
from prunekit.core.registry import load
from prunekit.engine.files import write_text
from prunekit.engine.quiet import quietly
from prunekit.engine.stored import read_stored
from prunekit.engine.variant import Variant, check_blocks, check_weights, choose_variant
from prunekit.engine.versions import versions
from prunekit.hf.checkpoint import context_length, find
from prunekit.hf.loading import load_adapter
from prunekit.hf.roundtrip import dense_and_pruned
from prunekit.plugins.commands.latency.turns import Spread, Timed, Watch, Workload, time_in_turns

if TYPE_CHECKING:
    import torch

SCHEMA = 1
FILE = "latency.json"
PEAK = {
    "cuda": "weights, and the most that running added on the device",
    "other": "weights and cache, counted; only cuda tells more of one model",
}


@dataclass(frozen=True)
class LatencyResult:
    """Dense against pruned. A ratio is pruned over dense, of speeds of the same turn."""

    model: str
    weights: str
    n_blocks: int
    removed: tuple[int, ...]
    workload: Workload
    device: str
    dtype: str
    threads: int
    dense: Timed
    pruned: Timed
    prefill_ratio: Spread
    decode_ratio: Spread
    peak_is: str
    """what was counted as peak memory"""
    versions: Mapping[str, str]
    run: str | None
    schema: int = SCHEMA

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"


@quietly()
def latency(
    model: str | None = None,
    *,
    remove: Iterable[int] | None = None,
    run: str | Path | None = None,
    workdir: str | Path = "prunekit-runs",
    watch: Watch = lambda what, done, total: None,
    **given: Any,
) -> LatencyResult:
    """Time `model` without the blocks `remove`, or without those of a `run`, against all of it.

    With `remove=[]` the dense model is timed against itself: the ratio is 1.0 but for the noise.
    `given` may hold `prompt_length`, `new_tokens`, `batch_size` and `repeats`; `device`, `dtype`
    and `trust_remote_code`; and without a run the model's `adapter` and `revision`. The models
    generate in turns, and share their weights, so that memory holds them once. What comes of a run
    is kept in the run's folder.

    Raises PrunekitError, whose message says what to do.
    """
    given = {k: v for k, v in given.items() if v is not None}
    names = {o.name for o in options_of(Workload)}
    workload = build(Workload, {k: given.pop(k) for k in names & set(given)})
    variant = choose_variant(model, remove, run, workdir, given, anew=("device", "dtype"))
    _check_context(variant.spec, workload)
    try:
        result = _measure(variant, workload, watch)
    except KeyboardInterrupt:
        raise Interrupted("stopped; a timing is kept only when it is over") from None
    if variant.run:
        write_text(variant.run.folder / FILE, result.to_json())
    return result


def read_latency(run: Path) -> dict[str, Any] | None:
    """What was kept in a run's folder, None where it was not timed; ConfigError if it is torn."""
    path = run / FILE
    hints = get_type_hints(LatencyResult)
    return read_stored(path, SCHEMA, hints, "time the run again") if path.is_file() else None


def _check_context(spec: Spec, workload: Workload) -> None:
    context = context_length(find(spec, load()).config())
    asked = workload.prompt_length + workload.new_tokens + 1
    if context is not None and asked > context:
        raise ConfigError(
            f"asked for were {workload.prompt_length:,} tokens of prompt and "
            f"{workload.new_tokens:,} new ones, the model's context holds {context:,} and one of "
            "them comes with the prompt; choose a smaller --prompt-length or --new-tokens"
        )


def _measure(variant: Variant, workload: Workload, watch: Watch) -> LatencyResult:
    import torch

    spec, removed = variant.spec, variant.removed
    watch("loading the model", 0, None)
    adapter = load_adapter(spec, load())
    if removed:
        check_blocks(removed, adapter.facts.n_blocks)
    weights = adapter.facts.fingerprint["weights"]
    if variant.run:
        check_weights(weights, variant.run.result, spec.model)
    models = dense_and_pruned(adapter, removed)
    dense, pruned = time_in_turns(models, workload, watch)
    device = models[0].device
    return LatencyResult(
        model=spec.model,
        weights=weights,
        n_blocks=adapter.facts.n_blocks,
        removed=tuple(sorted(removed)),
        workload=workload,
        device=_device_name(device),
        dtype=str(models[0].dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        dense=dense,
        pruned=pruned,
        prefill_ratio=Spread.of_ratios(dense.prefill_seconds, pruned.prefill_seconds),
        decode_ratio=Spread.of_ratios(dense.decode_seconds, pruned.decode_seconds),
        peak_is=PEAK["cuda" if device.type == "cuda" else "other"],
        versions=versions(),
        run=str(variant.run.folder) if variant.run else None,
    )


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {platform.processor() or platform.machine()}"
