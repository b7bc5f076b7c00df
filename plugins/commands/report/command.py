"""`prunekit report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import typer

from prunekit.cli.screen import Quiet, counter
from prunekit.core import Command, hookimpl


class WriteReport(Command):
    """Write the tables, the figures and the page of a study, finished or not."""

    name: ClassVar[str] = "report"

    def run(
        self,
        study: Annotated[Path, typer.Argument(help="Folder that `prunekit study` wrote.")],
        to: Annotated[
            Path | None, typer.Option(help="Folder to write; default: STUDY/report.")
        ] = None,
        quiet: Quiet = False,
    ) -> None:
        from prunekit.plugins.commands.report.printing import show_report
        from prunekit.plugins.commands.report.writing import report as write

        with counter(quiet) as show:
            written = write(study, to, lambda done, of: show("figures", done, of))
        show_report(written, quiet)


@hookimpl
def prunekit_commands() -> list[type]:
    return [WriteReport]
