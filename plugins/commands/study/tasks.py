"""The parts of a study that processes carry out: tasks, their progress and their outcome."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import ModelAdapter
from prunekit.core.registry import Registry
from prunekit.core.spec import Spec
from prunekit.engine.known import load_known
from prunekit.engine.progress import Progress
from prunekit.hf.unreadable import first_line

OnProgress: TypeAlias = Callable[[float], None]
"""Called with how much of a task is done."""


@dataclass(frozen=True)
class Unevaluated:
    """A variant that could not be evaluated, and why."""

    model: str
    removed: tuple[int, ...]
    error: str


@dataclass(frozen=True)
class Effort:
    """The work done now, without that of earlier runs."""

    measured: int = 0
    block_runs: int = 0
    block_runs_alone: int = 0
    """what the same searches, single removals, and choices on other draws would take one by one,
    nothing measured before"""
    unevaluated: tuple[Unevaluated, ...] = ()

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.measured + other.measured,
            self.block_runs + other.block_runs,
            self.block_runs_alone + other.block_runs_alone,
            self.unevaluated + other.unevaluated,
        )


class Task(Protocol):
    """A part of a study: plain, picklable data. Its outcome is written to files."""

    @property
    def title(self) -> str:
        """The line shown while it runs."""
        ...

    def run(self, loaded: LoadedModel, on_progress: OnProgress) -> Effort:
        """Do what was not done before. Raises StorageError if nothing can be written."""
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
        """Hold a model that was loaded elsewhere; None if it is in another process."""
        self._spec, self._adapter = spec, adapter

    def load(self, spec: Spec, workdir: Path, registry: Registry) -> ModelAdapter:
        """Return the model of `spec`, loaded at most once. Raises CheckpointError if that fails."""
        self.make_room_for(spec)
        adapter = self._adapter or load_known(spec, workdir, registry)
        self.keep(spec, adapter)
        return adapter


def reason(error: Exception) -> str:
    """Return the message of an error; with PRUNEKIT_DEBUG, raise it unless it is a user's."""
    if isinstance(error, PrunekitError):
        return str(error)
    if os.environ.get("PRUNEKIT_DEBUG"):
        raise error
    return f"{type(error).__name__}: {first_line(error)}; PRUNEKIT_DEBUG=1 shows where"
