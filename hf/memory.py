"""The memory of the machine and of its devices that is free."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from prunekit.core.spec import Spec
from prunekit.hf.loading import resolve_device

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
SHARE_OF_STATES = 4
"""Kept states take one part in this number of what is free."""


def free_bytes() -> int:
    """Return the free memory of the machine, or the limit of a container if that is lower."""
    import psutil

    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or one without a limit
        free = min(free, int(CONTAINER_LIMIT.read_text()))
    return free


def memory_for_states(spec: Spec) -> int:
    """Return the bytes that kept states may take in this process."""
    import torch

    if spec.state_memory is not None:
        return spec.state_memory // spec.processes
    device = torch.device(resolve_device(spec.device))
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_bytes()
    return free // SHARE_OF_STATES // spec.processes
