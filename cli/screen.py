"""Where the commands print, and how long work is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
)
from rich.text import Text

from prunekit.cli.printable import printable
from prunekit.engine.quiet import quiet_libraries, show_remarks
from prunekit.engine.rehearsal import Cost

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only the result: no progress, remarks or advice.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show other libraries' logs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate the cost and exit.")]
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


class Bar:
    """A progress bar with the time that is left; it shows nothing where there is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("starting", total=None, unit="subsets", best="")

    def stage(self, what: str) -> None:
        """Name the part of the work that begins."""
        self.progress.update(self.task, description=what, total=None, completed=0, best="")

    def expect(self, rehearse: Callable[[], Cost]) -> None:
        """Count subsets from now on, towards what a rehearsal foretells."""
        self.stage("searching")
        if not self.progress.disable:
            cost = rehearse()
            self.progress.update(self.task, total=cost.asked if cost.complete else None)

    def advance(self, subsets: float, best: float | None) -> None:
        """Move the bar, and show the best loss so far."""
        shown = "" if best is None else f"best {best:.4f}"
        self.progress.update(self.task, completed=subsets, best=shown)


class _Words(ProgressColumn):
    """What a task says under a name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render(self, task: Task) -> Text:
        """Nothing of it is markup."""
        return styled(str({"description": task.description, **task.fields}[self._name]))


class StudyBar:
    """The same for a study, whose parts count different things."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("starting", total=None, unit="", best="")

    def begin(self, what: str, unit: str, expect: Callable[[], float | None]) -> None:
        """Count from nothing towards what is expected."""
        self.progress.update(self.task, description=what, completed=0, total=None, unit=unit)
        if not self.progress.disable:
            self.progress.reset(self.task, total=expect())

    def now(self, title: str) -> None:
        """Name the task that begins."""
        self.progress.update(self.task, description=title)

    def advance(self, done: float) -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=done)


class Show(Protocol):
    """Moves a bar."""

    def __call__(self, what: str, done: int, total: int | None, unit: str = "") -> None:
        """So much of `what` is done, of how much, and what is counted."""
        ...


def listen(verbose: bool, quiet: bool = False) -> None:
    """Keep other libraries quiet, or let them talk; show remarks in one line, or none."""
    if verbose:
        os.environ["PRUNEKIT_VERBOSE"] = "1"
    quiet_libraries()
    show_remarks(None if quiet else lambda line: err.print(f"note: {line}", soft_wrap=True))


@contextmanager
def bar(quiet: bool) -> Iterator[Bar]:
    """A bar on standard error, for as long as a search goes on."""
    with _progress(quiet) as progress:
        yield Bar(progress)


@contextmanager
def study_bar(quiet: bool) -> Iterator[StudyBar]:
    """A bar on standard error, for as long as a study goes on."""
    with _progress(quiet) as progress:
        yield StudyBar(progress)


@contextmanager
def counter(quiet: bool) -> Iterator[Show]:
    """A bar for work in equal steps."""
    with _progress(quiet) as progress:
        task = progress.add_task("starting", total=None, unit="", best="")

        def show(what: str, done: int, total: int | None, unit: str = "") -> None:
            progress.update(task, description=what, completed=done, total=total, unit=unit)

        yield show


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """A bar; what plugins print meanwhile goes where it does, as results alone are for pipes."""
    with redirect_stdout(sys.stderr), _columns(quiet) as progress:
        yield progress


def _columns(quiet: bool) -> Progress:
    return Progress(
        _Words("description"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Words("unit"),
        TimeRemainingColumn(),
        _Words("best"),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,
    )
