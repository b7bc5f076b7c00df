"""`prunekit report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import typer

from prunekit.cli.screen import Quiet, counter, err, out
from prunekit.core import Command, hookimpl
from prunekit.plugins.commands.report.printing import show_table
from prunekit.plugins.commands.report.writing import Report
from prunekit.plugins.commands.report.writing import report as write


class WriteReport(Command):
    """Write the tables, the figures and the page of a study, finished or not."""

    name: ClassVar[str] = "report"

    def run(
        self,
        study: Annotated[Path, typer.Argument(help="Folder that `prunekit study` wrote.")],
        to: Annotated[Path | None, typer.Option(help="Folder to write, else STUDY/report.")] = None,
        quiet: Quiet = False,
    ) -> None:
        """Run it."""
        with counter(quiet) as show:
            written = write(study, to, lambda done, of: show("figures", done, of))
        show_report(written, quiet)


def show_report(written: Report, quiet: bool = False) -> None:
    """The main table, what is missing, and where things are."""
    for table in written.overview:
        show_table(table)
    if not quiet:
        for gap in written.gaps:
            example = f", as {gap.items[0]}" if gap.items else ""
            err.print(f"missing: {gap.sentence}{example}", style="yellow", soft_wrap=True)
        for figure in written.left_out:
            err.print(f"not drawn: {figure.title}: {figure.reason}", soft_wrap=True)
        out.print(f"tables:  {written.folder / 'tables'}", soft_wrap=True)
        out.print(f"figures: {written.folder / 'figures'}", soft_wrap=True)
        out.print(f"page:    {written.page}", soft_wrap=True)


@hookimpl
def prunekit_commands() -> list[type]:
    return [WriteReport]
