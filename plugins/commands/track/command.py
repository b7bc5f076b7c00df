"""`prunekit track`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import Quiet, Verbose, Workdir, listen, out, progress_bar
from prunekit.core import Command, hookimpl


class Track(Command):
    """Write a search, or a study, to an experiment tracker: curves, results, artefacts."""

    name: ClassVar[str] = "track"
    group: ClassVar[str] = "Compare"
    examples: ClassVar[Sequence[str]] = (
        "prunekit track NAME --tracker trackio",
        "prunekit track NAME --tracker mlflow --mlflow.uri sqlite:///mlflow.db",
    )
    docs: ClassVar[str] = "docs/tracking.md"
    plugin_options: ClassVar[bool] = True
    plugin_kinds: ClassVar[Sequence[str]] = ("tracker",)

    def run(
        self,
        given: dict[str, Any],
        run: Annotated[str, typer.Argument(help="Name of a run or a study, or its folder.")],
        tracker: Annotated[str, typer.Option(help="Which tracker.")] = "trackio",
        project: Annotated[str, typer.Option(help="Project, or experiment.")] = "prunekit",
        workdir: Workdir = Path("prunekit-runs"),
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.track.track import track

        listen(verbose, quiet)
        with progress_bar(quiet) as progress:
            done = track(
                run, tracker=tracker, project=project, workdir=workdir, progress=progress, **given
            )
        if not quiet:
            count = f"{len(done.runs)} runs" if len(done.runs) > 1 else done.runs[0]
            where = f": {done.where}" if done.where else ""
            out.print(f"wrote {count} to {project} in {tracker}{where}", soft_wrap=True)


@hookimpl
def prunekit_commands() -> list[type]:
    return [Track]
