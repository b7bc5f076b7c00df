"""`prunekit export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import Verbose, Workdir, listen, out, progress_bar
from prunekit.cli.variant import Budget, Remove, Run, parse_blocks, say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.engine.variant import MODEL_SETTINGS


class Export(Command):
    """Export a model without some of its blocks, and verify the checkpoint."""

    name: ClassVar[str] = "export"
    group: ClassVar[str] = "Make a model"
    examples: ClassVar[Sequence[str]] = (
        "prunekit export --run NAME --to pruned",
        "prunekit export --model FOLDER --remove 9,12 --to pruned",
    )
    docs: ClassVar[str] = "docs/from-model-to-smaller.md"
    settings: ClassVar[Sequence[str]] = MODEL_SETTINGS

    def run(
        self,
        given: dict[str, Any],
        to: Annotated[Path, typer.Option(help="Folder or file to write; must not exist.")],
        run: Run = None,
        budget: Budget = None,
        remove: Remove = None,
        format: Annotated[
            str,
            typer.Option(
                help="hf writes a checkpoint; mergekit and llama.cpp a file for that tool.",
                metavar="hf|mergekit|llama.cpp",
            ),
        ] = "hf",
        workdir: Workdir = Path("prunekit-runs"),
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.export.export import export as write
        from prunekit.plugins.commands.export.printing import show_written

        listen(verbose)
        say_if_demo(run is not None or "model" in given)
        blocks = parse_blocks(remove)
        which: dict[str, Any] = {"run": run, "budget": budget, "remove": blocks}
        with progress_bar(quiet=False) as progress:
            write(**given, **which, to=to, format=format, workdir=workdir, progress=progress)
        if format == "hf":
            show_written(to, out)
        else:
            out.print(f"saved {to}", soft_wrap=True)


@hookimpl
def prunekit_commands() -> list[type]:
    return [Export]
