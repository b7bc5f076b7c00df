"""Measure in this process: the default, and what every worker elsewhere does too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Batch, Meter, Objective, Spec, hookimpl
from prunekit.core.loading import load_adapter
from prunekit.core.prefix import PrefixMeter
from prunekit.core.registry import load


@dataclass(frozen=True)
class Local:
    """One process, one device."""

    name: ClassVar[str] = "local"

    def open(self, spec: Spec, objective: Objective, batches: Sequence[Batch]) -> Meter:
        """Load the model here."""
        return PrefixMeter(load_adapter(spec, load()), objective, batches)


@hookimpl
def prunekit_backends() -> list[type]:
    return [Local]
