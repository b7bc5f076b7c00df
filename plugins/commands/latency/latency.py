"""Compare the speed and memory of a pruned model with those of the dense one."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import ConfigError, Interrupted
from prunekit.core.options import build, options_of
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.arguments import takes
from prunekit.engine.choice import choose
from prunekit.engine.config import Settings
from prunekit.engine.files import write_text
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quietly
from prunekit.engine.result import check_of_run
from prunekit.engine.stored import check_counts, check_removed, read_stored
from prunekit.engine.summary import Summarised, Summary, plain, without
from prunekit.engine.variant import MODEL_SETTINGS, Variant, check_blocks, check_weights
from prunekit.engine.versions import versions
from prunekit.hf.blocks import block_count
from prunekit.hf.checkpoint import context_length, find
from prunekit.hf.loading import load_adapter, resolve_device
from prunekit.hf.reading import dtype_name, read_model, resolve_dtype
from prunekit.hf.roundtrip import dense_and_pruned
from prunekit.plugins.commands.evaluate.target import find_target
from prunekit.plugins.commands.latency.benchmark import (
    Spread,
    Timed,
    Workload,
    time_in_turns,
)

if TYPE_CHECKING:
    import torch

SCHEMA = 1
FILE = "latency.json"
PEAK = {
    "cuda": "weights, plus the largest amount that running allocated on the device",
    "other": "weights and cache, counted; the true peak is known on cuda only",
}


@dataclass(frozen=True, repr=False)
class LatencyResult(Summarised):
    """Dense and pruned model; a ratio is pruned / dense, of speeds of the same turn."""

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
    """definition of peak memory on this device"""
    versions: Mapping[str, str]
    run: str | None
    schema: int = SCHEMA

    def summary(self) -> Summary:
        """Return the speed of the pruned model over that of the dense one."""
        facts = {"prefill": _times(self.prefill_ratio), "decode": _times(self.decode_ratio)}
        facts["on"] = f"{self.device}, {self.dtype}"
        return Summary(without(self.model, self.removed), self.removed, self.n_blocks, facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return the dense and the pruned model."""
        timed = {"dense": self.dense, "pruned": self.pruned}
        return [{"model": who, **plain(of)} for who, of in timed.items()]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Return JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"


def _times(ratio: Spread) -> str:
    return f"{ratio.median:.2f} times the dense model's ({ratio.low:.2f} to {ratio.high:.2f})"


@takes(Workload, Settings, settings=MODEL_SETTINGS)
@quietly()
def latency(
    model: str | None = None,
    *,
    remove: Iterable[int] | None = None,
    run: str | Path | None = None,
    budget: int | None = None,
    workdir: str | Path = "prunekit-runs",
    progress: Reporting = False,
    **given: Any,
) -> LatencyResult:
    """Time the dense `model` and the same without the blocks `remove`, or those a `run` chose.

    A `model` that prunekit wrote, as a repaired or a healed one, is timed as it is beside the dense
    model that it was made from. A smaller `budget` than that of the run takes the best subset of
    that size that it measured.

    The models generate by turns and share their weights, so memory holds them once; a checkpoint
    and its dense model do not. With `remove=[]` the dense model is timed against itself, and the
    ratio is 1.0 apart from noise.
    `given` may hold `prompt_length`, `new_tokens`, `batch_size` and `repeats`; `device`, `dtype`
    and `trust_remote_code`; and, without a run, the model's `adapter` and `revision`. The result
    of a run's own choice is saved in the run's folder.

    Raises PrunekitError, whose message says what to do.
    """
    given = {name: value for name, value in given.items() if value is not None}
    names = {o.name for o in options_of(Workload)} & set(given)
    workload = build(Workload, {name: given.pop(name) for name in names})
    anew = ("device", "dtype", "attention")
    written = None
    if run is None and remove is None and budget is None:
        written = _written(model, given, Path(workdir))
    variant = written or choose(model, remove, run, workdir, given, anew, budget)
    _check_context(variant, workload)
    try:
        with reporting(progress) as shown:
            result = _measure(variant, workload, shown)
    except KeyboardInterrupt:
        raise Interrupted("stopped; a timing is kept only when it is over") from None
    if variant.run:
        write_text(variant.run.folder / FILE, result.to_json())
    return result


def read_latency(run: Path) -> dict[str, Any] | None:
    """Read the timing in a run's folder; None if it was not timed.

    Raises ConfigError if it is damaged.
    """
    path = run / FILE
    hints = get_type_hints(LatencyResult)
    if not path.is_file():
        return None

    def check(row: Mapping[str, Any]) -> None:
        check_removed(row["removed"], row["n_blocks"])
        check_of_run(run, row["removed"], row["weights"])
        for ratio in ("prefill_ratio", "decode_ratio"):
            check_counts(row[ratio], "median", "low", "high", name=ratio)

    return read_stored(path, SCHEMA, hints, "time the run again", check)


@dataclass(frozen=True)
class _Written(Variant):
    """A checkpoint that prunekit wrote: `spec` is its dense model, `pruned` the checkpoint."""

    pruned: Spec | None = None


def _written(model: str | None, given: Mapping[str, Any], workdir: Path) -> _Written | None:
    """Return a checkpoint beside its dense model; None for any other model.

    Raises ConfigError if its dense model is not found.
    """
    target = find_target(model, None, None, workdir, given)
    if not target.gone:
        return None
    if target.origin is None:
        raise ConfigError(f"{target.spec.model} cannot be timed beside another: {target.remark}")
    return _Written(target.origin, frozenset(target.gone), pruned=target.spec)


def _check_context(variant: Variant, workload: Workload) -> None:
    context = context_length(find(variant.spec, load()).config())
    needed = workload.prompt_length + workload.new_tokens + 1
    if context is not None and needed > context:
        raise ConfigError(
            f"requested: {workload.prompt_length:,} tokens of prompt, {workload.new_tokens:,} new "
            f"ones and the one that prefill generates; the model's context holds {context:,}; "
            "choose a smaller --prompt-length or --new-tokens"
        )


def _measure(variant: Variant, workload: Workload, progress: Progress) -> LatencyResult:
    import torch

    spec, removed = variant.spec, variant.removed
    progress.begin("loading the model")
    if isinstance(variant, _Written):
        models, weights = _as_written(variant), find(spec, load()).identity()
    else:
        models, weights = _made(variant)
    dense, pruned = time_in_turns(models, workload, progress)
    device = models[0].device
    return LatencyResult(
        model=spec.model,
        weights=weights,
        n_blocks=block_count(models[0].config),
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


def _made(variant: Variant) -> tuple[tuple[Any, Any], str]:
    """Make both models of one, and return them with the identity of its weights."""
    adapter = load_adapter(variant.spec, load())
    if variant.removed:
        check_blocks(variant.removed, adapter.facts.n_blocks)
    weights = adapter.facts.fingerprint["weights"]
    if variant.run:
        check_weights(weights, variant.run.result, variant.spec.model)
    return dense_and_pruned(adapter, variant.removed), weights


def _as_written(written: _Written) -> tuple[Any, Any]:
    """Load a checkpoint and its dense model, both in the dtype of the checkpoint."""
    assert written.pruned is not None
    device, checkpoint = resolve_device(written.spec.device), find(written.pruned, load()).opened()
    dtype = dtype_name(resolve_dtype(written.pruned.dtype, device, checkpoint))
    dense: Any = read_model(find(written.spec, load()).opened(), device, dtype)
    pruned: Any = read_model(checkpoint, device, dtype)
    return dense.eval(), pruned.eval()


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {platform.processor() or platform.machine()}"
