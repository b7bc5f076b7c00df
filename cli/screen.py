"""The console that commands print on, and the progress bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import rich.progress
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
)
from rich.text import Text

from prunekit.cli.printable import printable
from prunekit.core.errors import Interrupted
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quiet_libraries, show_remarks

__all__ = [
    "DryRun",
    "Prove",
    "Quiet",
    "Verbose",
    "Workdir",
    "counter",
    "err",
    "listen",
    "out",
    "styled",
]

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only the result: no progress, remarks or advice.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show other libraries' logs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate the cost and exit.")]
Prove = Annotated[
    bool, typer.Option("--prove", help="Prove again that blocks one by one are the model.")
]
Workdir = Annotated[Path, typer.Option(help="Where runs and measurements are kept.")]


class Screen(Console):
    """A console on which every text is `printable`, in messages and in the cells of tables alike.

    A Text is printed as it is: `styled` makes one.
    """

    def render_str(self, text: str, **how: Any) -> Text:
        """The text as rich measures and prints it."""
        return super().render_str(printable(text), **how)


def styled(text: str, style: str = "") -> Text:
    """A text for a cell in a style of its own."""
    return Text(printable(text), style)


out = Screen(highlight=False, markup=False, emoji=False)
err = Screen(stderr=True, highlight=False, markup=False, emoji=False)


class ProgressBar(Progress):
    """A bar with the time that is left; it shows nothing without a terminal."""

    def __init__(self, columns: rich.progress.Progress) -> None:
        self.columns = columns
        self.task = columns.add_task("starting", total=None, unit="", note="")

    def begin(
        self, what: str, unit: str = "", expect: Callable[[], float | None] = lambda: None
    ) -> None:
        """Count from nothing towards what is expected."""
        self._set_total(None)
        self.columns.update(self.task, description=what, completed=0, unit=unit, note="")
        if not self.columns.disable:
            self.columns.reset(self.task, total=expect())

    def rename(self, what: str) -> None:
        """Change the text before the bar."""
        self.columns.update(self.task, description=what)

    def advance(self, done: float, note: str = "") -> None:
        """Move the bar; beyond its end the total was a wrong guess, and is unknown."""
        (task,) = self.columns.tasks
        if task.total is not None and done > task.total:
            self._set_total(None)
        self.columns.update(self.task, completed=done, note=note)

    def _set_total(self, total: float | None) -> None:
        (task,) = self.columns.tasks
        task.total = total  # to `update` and `reset`, None means no change


class _Words(ProgressColumn):
    """A field of a task, by its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render(self, task: Task) -> Text:
        """Nothing of it is markup."""
        return styled(str({"description": task.description, **task.fields}[self._name]))


class _Time(ProgressColumn):
    """The time that is left, or what has passed if that is not known."""

    def render(self, task: Task) -> Text:
        """Show `0:01:20 left` or `0:01:20`."""
        known = task.time_remaining if task.total is not None else None
        seconds = task.elapsed if known is None else known
        text = str(timedelta(seconds=int(seconds or 0)))
        return Text(text if known is None else f"{text} left", style="progress.remaining")


def listen(verbose: bool, quiet: bool = False) -> None:
    """Keep other libraries quiet, or let them talk; show remarks in one line, or none."""
    if verbose:
        os.environ["PRUNEKIT_VERBOSE"] = "1"
    quiet_libraries()
    show_remarks(None if quiet else lambda line: err.print(f"note: {line}", soft_wrap=True))


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Say so if a command is stopped that keeps nothing, such as a dry run."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped; a dry run keeps nothing") from None


@contextmanager
def progress_bar(quiet: bool) -> Iterator[ProgressBar]:
    """Show a bar on standard error for as long as the work goes on."""
    with _progress(quiet) as columns:
        yield ProgressBar(columns)


@contextmanager
def counter(quiet: bool) -> Iterator[Callable[..., None]]:
    """Show a bar for work in equal steps: `show(what, done, total, unit="")`."""
    with _progress(quiet) as columns:
        task = columns.add_task("starting", total=None, unit="", note="")

        def show(what: str, done: int, total: int | None, unit: str = "") -> None:
            columns.update(task, description=what, completed=done, total=total, unit=unit)

        yield show


@contextmanager
def _progress(quiet: bool) -> Iterator[rich.progress.Progress]:
    """A bar; what plugins print meanwhile goes where it does, as results alone are for pipes."""
    with redirect_stdout(sys.stderr), _columns(quiet) as columns:
        yield columns


def _columns(quiet: bool) -> rich.progress.Progress:
    return rich.progress.Progress(
        _Words("description"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Words("unit"),
        _Time(),
        _Words("note"),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,
    )
