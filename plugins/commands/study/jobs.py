"""Choose how many processes a study takes, by the cores and the memory of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunekit.core.batch import Batch
from prunekit.core.errors import PrunekitError
from prunekit.core.spec import Spec
from prunekit.engine.plan import Plan
from prunekit.engine.weights import weights_of
from prunekit.hf.checkpoint import Checkpoint
from prunekit.hf.loading import resolve_device
from prunekit.hf.memory import free_bytes

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group
    from prunekit.plugins.commands.study.searching import SearchTask


PROCESS_BYTES = 10**9
"""Of a process without a model: Python, its libraries, calibration data and logits."""

WIDER = 2
"""Weights that are stored in 16 bits may be computed with in 32."""


def sensible_jobs(tasks: Sequence[SearchTask]) -> int:
    """Return as many as there are tasks, cores, and models that fit into free memory.

    One if any model runs on a GPU or through another backend than `local`, which use the machine in
    their own way, or if the size of a model is not known.
    """
    groups = [group for task in tasks for group in task.groups]
    plans = [group.plan for group in groups if group.plan is not None]
    if len(tasks) < 2 or not plans or not all(map(_is_on_cpu, plans)):
        return 1
    try:
        largest = max(map(_bytes_needed, _one_of_each_model(groups)))
    except PrunekitError:
        return 1
    return max(1, min(len(tasks), cores(), free_bytes() // largest))


def cores() -> int:
    """Return how many this process may use, by affinity and by the limits of a container."""
    from joblib import cpu_count

    return int(cpu_count())


def _is_on_cpu(plan: Plan) -> bool:
    try:
        return plan.backend.name == "local" and resolve_device(plan.spec.device) == "cpu"
    except PrunekitError:
        return False


def _one_of_each_model(groups: Sequence[Group]) -> list[Group]:
    return list({group.model: group for group in groups if group.plan is not None}.values())


def _bytes_needed(group: Group) -> int:
    assert group.plan is not None  # only such are asked
    assert group.source is not None
    most_removed = max(cell.budget for cell in group.cells)
    memory = memory_of(group.source, group.plan.spec, most_removed)
    return PROCESS_BYTES + WIDER * (memory.weights + memory.states)


@dataclass(frozen=True)
class Memory:
    """Bytes on the device, without logits and what libraries take for themselves."""

    weights: int
    states: int
    """hidden states of one batch, one for each open branch of the shared prefixes"""


def memory_of(source: Checkpoint, spec: Spec, most_removed: int) -> Memory:
    """Return the memory of a model whose variants lose up to `most_removed` blocks.

    The dtype `auto` counts as that of the stored weights. Raises CheckpointError if the model
    cannot be built.
    """
    config = source.config()
    weights = weights_of(source, config, spec)
    hidden_size = config.get_text_config().hidden_size
    branches = most_removed + 2  # the dense path, one more for each removal, and what is computed
    return Memory(
        weights=weights.bytes,
        states=branches * spec.tokens_per_forward * hidden_size * weights.width,
    )


def bytes_of(batches: Sequence[Batch]) -> int:
    """Return the size of a calibration set in main memory."""
    tensors = [
        tensor
        for batch in batches
        for tensor in (batch.input_ids, batch.attention_mask, batch.targets, *batch.extra.values())
    ]
    return sum(tensor.nbytes for tensor in tensors)
