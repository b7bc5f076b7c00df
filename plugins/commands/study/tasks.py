"""Describe the parts of a study that processes carry out: tasks, their progress, what they did."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import ModelAdapter, Spec
from prunekit.core.registry import Registry
from prunekit.engine.progress import Progress
from prunekit.hf.checkpoint import first_line
from prunekit.hf.loading import load_adapter

Tell: TypeAlias = Callable[[float], None]
"""Is told how much of a task is done."""


@dataclass(frozen=True)
class Unevaluated:
    """A variant that could not be evaluated, and why."""

    model: str
    removed: tuple[int, ...]
    error: str


@dataclass(frozen=True)
class Effort:
    """What was done now; what earlier runs did is not in it."""

    measured: int = 0
    block_runs: int = 0
    block_runs_alone: int = 0
    """what the same searches and single removals would take one by one, nothing measured before"""
    unevaluated: tuple[Unevaluated, ...] = ()

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.measured + other.measured,
            self.block_runs + other.block_runs,
            self.block_runs_alone + other.block_runs_alone,
            self.unevaluated + other.unevaluated,
        )


class Task(Protocol):
    """A part of a study: plain, picklable data. What comes out of it are files."""

    @property
    def title(self) -> str:
        """What a user reads while it goes on."""
        ...

    def run(self, loaded: LoadedModel, tell: Tell) -> Effort:
        """Do it, passing over what was done before; StorageError where nothing can be written."""
        ...

    def abandon(self, reason: str) -> Effort:
        """Note why the rest of it was not done: its process died."""
        ...


class Joint:
    """Add up the progress of several tasks."""

    def __init__(self, tasks: Sequence[Task], progress: Progress) -> None:
        self._tasks = tasks
        self._progress = progress
        self._done = [0.0] * len(tasks)

    def started(self, task: int) -> None:
        """Name the task that begins."""
        self._progress.rename(self._tasks[task].title)

    def advance(self, task: int, done: float) -> None:
        """Set how much of a task is done."""
        self._done[task] = done
        self._progress.advance(sum(self._done))


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


def reason(error: Exception) -> str:
    """What an error says; with PRUNEKIT_DEBUG set, one that is no user's mistake is raised."""
    if isinstance(error, PrunekitError):
        return str(error)
    if os.environ.get("PRUNEKIT_DEBUG"):
        raise error
    return f"{type(error).__name__}: {first_line(error)}; PRUNEKIT_DEBUG=1 shows where"
