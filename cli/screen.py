"""The console that commands print on, and the progress bar."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from prunekit.cli.bar import bar
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
    "progress_bar",
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
def counter(quiet: bool) -> Iterator[Callable[..., None]]:
    """Show a bar for work in equal steps, until version 0.3: it is `progress_bar` now."""
    warnings.warn("counter is now progress_bar(quiet), with its count", DeprecationWarning, 3)
    with progress_bar(quiet) as progress:
        yield lambda what, done, total, unit="": progress.count(what, done, total, unit)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """Show a bar on standard error for as long as the work goes on.

    What plugins print meanwhile goes there too, as results alone are for pipes.
    """
    with redirect_stdout(sys.stderr), nullcontext(Progress()) if quiet else bar(err) as progress:
        yield progress
