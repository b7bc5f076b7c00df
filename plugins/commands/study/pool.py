"""Processes that carry out tasks, each with its own share of the machine.

The parent hands out tasks one by one through pipes, and receives their progress. A process that
dies, for lack of memory say, costs the task that it was at.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

from prunekit.core.errors import PrunekitError
from prunekit.engine.escaping import one_line
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import NO_REMARKS, quiet_libraries, show_remarks
from prunekit.plugins.commands.study.tasks import Effort, Joint, LoadedModel, Task

SECONDS_TO_STOP = 20.0


def run_tasks(tasks: Sequence[Task], jobs: int, progress: Progress) -> Effort:
    """Carry out all tasks, `jobs` at a time, each job a process of its own if there are several.

    Raises the first error that stops the study.
    """
    joint, jobs = Joint(tasks, progress), min(jobs, len(tasks))
    if jobs < 2:
        return _run_here(tasks, joint)
    pool = _Pool(tasks, jobs, joint)
    try:
        return pool.run()
    finally:
        pool.stop()


def _run_here(tasks: Sequence[Task], joint: Joint) -> Effort:
    loaded, effort = LoadedModel(), Effort()
    for number, task in enumerate(tasks):
        joint.started(number)
        effort += task.run(loaded, partial(joint.advance, number))
    return effort


class _Pool:
    def __init__(self, tasks: Sequence[Task], jobs: int, progress: Joint) -> None:
        self.tasks = tasks
        self.jobs = jobs
        self.progress = progress
        self.waiting = list(range(len(tasks)))
        self.workers: dict[Connection, _Worker] = {}
        self.effort = Effort()

    def run(self) -> Effort:
        for number in range(self.jobs):
            self._start(number)
        while self.workers:
            for pipe in wait(list(self.workers)):
                assert isinstance(pipe, Connection)
                self._hear(self.workers[pipe])
        return self.effort

    def stop(self) -> None:
        """End the processes, which first write down what they measured."""
        for worker in self.workers.values():
            worker.process.terminate()
        for worker in self.workers.values():
            worker.process.join(SECONDS_TO_STOP)
            worker.process.kill()

    def _start(self, number: int) -> None:
        worker = _Worker(number, share_of(number, self.jobs))
        self.workers[worker.pipe] = worker
        self._hand_out(worker)

    def _hand_out(self, worker: _Worker) -> None:
        if not self.waiting:
            del self.workers[worker.pipe]
            worker.dismiss()
            return
        worker.task = self.waiting.pop(0)
        self.progress.started(worker.task)
        worker.pipe.send(self.tasks[worker.task])

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        if isinstance(said, float):
            self.progress.advance(worker.task, said)
        elif isinstance(said, Effort):
            self.effort += said
            self._hand_out(worker)
        else:
            raise said

    def _replace(self, worker: _Worker) -> None:
        worker.process.join()
        self.effort += self.tasks[worker.task].abandon(
            f"its process ended with status {worker.process.exitcode}, which is often a lack of "
            "memory; run the same command again with fewer --jobs"
        )
        del self.workers[worker.pipe]
        if self.waiting:
            self._start(worker.number)


class _Worker:
    """A process, and the parent's end of the pipe to it."""

    def __init__(self, number: int, share: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.number = number
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=_work, args=(other_end, share), daemon=True)
        self.task = -1
        self.process.start()
        other_end.close()  # so that the process's death ends the pipe

    def dismiss(self) -> None:
        """Let the process end, as there is nothing more to do."""
        self.pipe.send(None)
        self.process.join()
        self.pipe.close()


def share_of(number: int, jobs: int) -> dict[str, str]:
    """Return the environment of one of `jobs` processes: its part of the threads, and a GPU.

    If there are fewer GPUs than processes, some share one.
    """
    import torch

    share = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // jobs))}
    if (count := torch.cuda.device_count()) > 1:
        every = ",".join(map(str, range(count)))
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", every).split(",")
        share["CUDA_VISIBLE_DEVICES"] = visible[number % count]
    return share


def _work(pipe: Connection, share: Mapping[str, str]) -> None:
    """Carry out one task after the other, until there is none or the parent is gone."""
    os.environ.update(share)  # before any library reads it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):  # the parent is gone
        signal.signal(signal.SIGTERM, _stop)
        quiet_libraries()
        show_remarks(None if os.environ.get(NO_REMARKS) else _note)
        loaded = LoadedModel()
        while (task := pipe.recv()) is not None:
            pipe.send(_outcome(task, loaded, pipe))
    _leave_in_peace()


def _note(remark: str) -> None:
    print(f"note: {one_line(remark)}", file=sys.stderr)


def _outcome(task: Task, loaded: LoadedModel, pipe: Connection) -> Any:
    try:
        return task.run(loaded, lambda done: _report(pipe, done))
    except PrunekitError as error:
        return error


def _report(pipe: Connection, done: float) -> None:
    try:
        pipe.send(float(done))
    except OSError:  # the parent was killed; what was measured is written on the way out
        raise KeyboardInterrupt from None


def _stop(*_: Any) -> None:
    _leave_in_peace()
    raise KeyboardInterrupt


def _leave_in_peace() -> None:
    """Ignore SIGTERM, which a group of processes receives twice, even those that are done."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
