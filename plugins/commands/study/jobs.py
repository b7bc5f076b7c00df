"""How many processes a study takes where nobody says it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prunekit.core.errors import PrunekitError
from prunekit.engine.plan import Plan
from prunekit.hf.loading import resolve_device
from prunekit.plugins.commands.study.memory import memory_of
from prunekit.plugins.commands.study.planning import Group
from prunekit.plugins.commands.study.searchtask import SearchTask

PROCESS_BYTES = 10**9
"""Of a process without a model: Python, its libraries, calibration data and logits."""

WIDER = 2
"""Weights that are stored in 16 bits may be computed with in 32."""

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def sensible_jobs(tasks: Sequence[SearchTask]) -> int:
    """As many as there are tasks, cores, and models that fit into the memory that is free.

    One where any model runs on a GPU or through another backend than `local`, which have ways of
    their own to use the machine, and where the size of a model is not known.
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
    """Those that this process may use, by affinity and by the limits of a container."""
    from joblib import cpu_count

    return int(cpu_count())


def free_bytes() -> int:
    """Of memory, by what the machine has left and by the limit of a container."""
    import psutil

    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or one without a limit
        free = min(free, int(CONTAINER_LIMIT.read_text()))
    return free


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
