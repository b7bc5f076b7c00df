"""Where the commands print, and how long work is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from prunekit.core.rehearsal import Cost

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no remarks.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Let other libraries talk.")]
Workdir = Annotated[Path, typer.Option(help="Where runs and measurements are kept.")]

out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


class Bar:
    """A progress bar with the time that is left; it shows nothing where there is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("starting", total=None, best="")

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


@contextmanager
def bar(quiet: bool) -> Iterator[Bar]:
    """A bar on standard error, for as long as the work goes on."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("subsets"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    hidden = quiet or not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=hidden) as progress:
        yield Bar(progress)


@contextmanager
def counter(quiet: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for work in equal steps: call it with what is done, how much, and of how much."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    hidden = quiet or not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=hidden) as progress:
        task = progress.add_task("starting", total=None)

        def show(what: str, done: int, total: int | None) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield show
