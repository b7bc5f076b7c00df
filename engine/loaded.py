"""The model that a process has loaded, kept for what comes next."""

from __future__ import annotations

from prunekit.core.interfaces import ModelAdapter, Spec
from prunekit.core.registry import Registry
from prunekit.hf.loading import load_adapter


class LoadedModel:
    """At most one model, so that groups and evaluations of one model load it once."""

    def __init__(self) -> None:
        self.refused: dict[Spec, str] = {}
        """models that could not be loaded, and why: they are not tried again"""
        self._spec: Spec | None = None
        self._adapter: ModelAdapter | None = None

    def make_room_for(self, spec: Spec) -> None:
        """Let go of any other model before this one is loaded."""
        if spec != self._spec:
            self._spec = self._adapter = None

    def keep(self, spec: Spec, adapter: ModelAdapter | None) -> None:
        """Hold a model that somebody else loaded; None where it is in another process."""
        self._spec, self._adapter = spec, adapter

    def load(self, spec: Spec, registry: Registry) -> ModelAdapter:
        """The model of `spec`, from here if it is kept; CheckpointError where it cannot be had."""
        self.make_room_for(spec)
        adapter = self._adapter or load_adapter(spec, registry)
        self.keep(spec, adapter)
        return adapter
