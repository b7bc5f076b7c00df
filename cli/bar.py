"""The progress bar, in a terminal and in a notebook."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task
from rich.progress import Progress as Columns
from rich.text import Text

from prunekit.cli.printable import printable
from prunekit.engine.progress import Progress, Show, Step

Reporting: TypeAlias = bool | Show | Progress
"""The `progress` of a function: True shows a bar, a callable takes every Step."""
REDRAWN_EVERY = 0.2
"""Seconds between two pictures of the bar in a notebook."""
WIDTH = 100


@contextmanager
def reporting(progress: Reporting) -> Iterator[Progress]:
    """Pass on the progress of a function as its caller asked.

    A bar goes to standard error; it is not drawn if that is neither a terminal nor a notebook.
    """
    if isinstance(progress, Progress):
        yield progress
    elif callable(progress):
        yield Progress(progress)
    elif not progress:
        yield Progress()
    else:
        console = Console(stderr=True)
        with _in_notebook() if console.is_jupyter else bar(console) as shown:
            yield shown


@contextmanager
def bar(console: Console) -> Iterator[Progress]:
    """Draw a bar for as long as the work goes on; nothing, and nothing expected, off a terminal."""
    if not console.is_terminal:
        yield Progress()
        return
    with _columns(console) as columns:
        yield Progress(_drawn_by(columns))


@contextmanager
def _in_notebook() -> Iterator[Progress]:
    """Draw the bar as text into the output of a cell, which needs no widgets."""
    display: Any = import_module("IPython.display").display  # a notebook has it

    columns = _columns(Console(file=io.StringIO(), width=WIDTH))
    draw = _drawn_by(columns)
    cell = display({"text/plain": ""}, raw=True, display_id=True)
    drawn = -REDRAWN_EVERY

    def show(step: Step) -> None:
        nonlocal drawn
        draw(step)
        if (now := time.monotonic()) - drawn < REDRAWN_EVERY:
            return
        drawn = now
        cell.update({"text/plain": _as_text(columns)}, raw=True)

    yield Progress(show)
    cell.update({"text/plain": ""}, raw=True)


def _as_text(columns: Columns) -> str:
    page = Console(width=WIDTH, force_jupyter=False, color_system=None)
    with page.capture() as drawn:
        page.print(columns.get_renderable())
    return drawn.get().rstrip()


def _drawn_by(columns: Columns) -> Show:
    number = columns.add_task("starting", total=None, unit="", note="")

    def show(step: Step) -> None:
        (task,) = columns.tasks
        if not step.done:
            columns.reset(number)  # the time of the part before says nothing of this one
        task.total = step.total  # to `update`, None means no change
        columns.update(
            number, description=step.what, completed=step.done, unit=step.unit, note=step.note
        )

    return show


class _Words(ProgressColumn):
    """A field of a task, by its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render(self, task: Task) -> Text:
        """Nothing of it is markup."""
        return Text(printable(str({"description": task.description, **task.fields}[self._name])))


class _Time(ProgressColumn):
    """The time that is left, or what has passed if that is not known."""

    def render(self, task: Task) -> Text:
        """Show `0:01:20 left` or `0:01:20`."""
        known = task.time_remaining if task.total is not None else None
        seconds = task.elapsed if known is None else known
        text = str(timedelta(seconds=int(seconds or 0)))
        return Text(text if known is None else f"{text} left", style="progress.remaining")


def _columns(console: Console) -> Columns:
    return Columns(
        _Words("description"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Words("unit"),
        _Time(),
        _Words("note"),
        console=console,
        transient=True,
    )
