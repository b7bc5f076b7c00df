"""`prunekit report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer
from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import Quiet, Workdir, err, out, progress_bar, styled
from prunekit.core import Command, hookimpl

if TYPE_CHECKING:
    from prunekit.plugins.commands.report.table import Table as ReportTable
    from prunekit.plugins.commands.report.writing import Report


class WriteReport(Command):
    """Write the tables, the figures and the page of a study, finished or not."""

    name: ClassVar[str] = "report"
    group: ClassVar[str] = "Compare"
    examples: ClassVar[Sequence[str]] = ("prunekit report NAME",)
    docs: ClassVar[str] = "docs/report.md"

    def run(
        self,
        study: Annotated[Path, typer.Argument(help="Name of a study, or its folder.")],
        to: Annotated[
            Path | None, typer.Option(help="Folder to write; default: STUDY/report.")
        ] = None,
        workdir: Workdir = Path("prunekit-runs"),
        quiet: Quiet = False,
    ) -> None:
        from prunekit.plugins.commands.report.writing import report as write

        with progress_bar(quiet) as progress:
            written = write(study, to, workdir=workdir, progress=progress)
        show_report(written, quiet)


def show_table(table: ReportTable) -> None:
    """Print a table with a rule between its sections, the best in bold."""
    heads = [
        Column(c.words, justify="right" if c.is_number else "left", overflow="fold")
        for c in table.columns
    ]
    shown = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for section in table.sections:
        for row in section:
            shown.add_row(*(styled(e.text, "bold" if e.mark == "best" else "") for e in row))
        shown.add_section()
    out.print(table.title, style="bold")
    out.print(shown)


def show_report(written: Report, quiet: bool = False) -> None:
    """Print the main tables, what is missing, and where the files are."""
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
