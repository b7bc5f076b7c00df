"""Carry out the tasks of a study, one after the other here or several at once elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from prunekit.engine.loaded import LoadedModel
from prunekit.engine.progress import Progress

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


def run_tasks(tasks: Sequence[Task], jobs: int, progress: Progress) -> Effort:
    """Carry out all tasks, `jobs` at a time, each job a process of its own if there are several."""
    joint = Joint(tasks, progress)
    if min(jobs, len(tasks)) > 1:
        from prunekit.plugins.commands.study.pool import run_in_processes

        return run_in_processes(tasks, min(jobs, len(tasks)), joint)
    return _run_here(tasks, joint)


def _run_here(tasks: Sequence[Task], joint: Joint) -> Effort:
    loaded, effort = LoadedModel(), Effort()
    for number, task in enumerate(tasks):
        joint.started(number)
        effort += task.run(loaded, partial(joint.advance, number))
    return effort
