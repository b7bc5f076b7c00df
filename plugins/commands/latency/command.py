"""`prunekit latency`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import Quiet, Verbose, Workdir, counter, listen
from prunekit.cli.variant import MODEL_SETTINGS, Remove, Run, parse_blocks, say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.plugins.commands.latency.benchmark import Workload


class Latency(Command):
    """Compare the speed and memory of a pruned model with those of the dense one."""

    name: ClassVar[str] = "latency"
    settings: ClassVar[Sequence[str]] = MODEL_SETTINGS
    options: ClassVar[type] = Workload
    panel: ClassVar[str] = "Model and workload"

    def run(
        self,
        given: dict[str, Any],
        run: Run = None,
        remove: Remove = None,
        workdir: Workdir = Path("prunekit-runs"),
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.latency.latency import latency as measure
        from prunekit.plugins.commands.latency.printing import show_latency

        listen(verbose)
        say_if_demo(run is not None or "model" in given, quiet)
        blocks = parse_blocks(remove)
        with counter(quiet) as watch:
            result = measure(**given, run=run, remove=blocks, workdir=workdir, watch=watch)
        if json:
            sys.stdout.write(result.to_json())
        else:
            show_latency(result)


@hookimpl
def prunekit_commands() -> list[type]:
    return [Latency]
