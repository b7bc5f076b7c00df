"""Measure in this process: the default, and what every worker elsewhere does too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakValueDictionary

from prunekit.core import Backend, Batch, Meter, ModelAdapter, Objective, Spec, hookimpl
from prunekit.hf import PrefixMeter, load_adapter, memory_for_states

_loaded: WeakValueDictionary[tuple[Spec, bool], ModelAdapter] = WeakValueDictionary()
"""by what they are, and whether they are only timed"""


@dataclass(frozen=True)
class Local(Backend):
    """Measure in this process, on one device."""

    name: ClassVar[str] = "local"

    def open(self, spec: Spec, objective: Objective, batches: Sequence[Batch]) -> Meter:
        """Load the model, or share that of a meter that is still open."""
        key = (spec, spec.known.only_timed)
        adapter = _loaded.get(key)
        if adapter is None:
            adapter = _loaded[key] = load_adapter(spec)
        return PrefixMeter(adapter, objective, batches, memory_for_states(spec))


@hookimpl
def prunekit_backends() -> list[type]:
    return [Local]
