"""`prunekit search`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import (
    DryRun,
    Prove,
    Quiet,
    Verbose,
    Workdir,
    err,
    listen,
    nothing_kept,
    progress_bar,
)
from prunekit.cli.variant import say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.core.options import options_of
from prunekit.core.registry import Registry
from prunekit.engine.config import Settings, read_config


class Search(Command):
    """Find which blocks of a model can go.

    Everything measured is kept: after a stop, the same command goes on where it was.
    """

    name: ClassVar[str] = "search"
    group: ClassVar[str] = "Find blocks"
    rank: ClassVar[int] = 0
    examples: ClassVar[Sequence[str]] = (
        "prunekit search --model FOLDER --searcher greedy --objective ppl --ppl.data my-text.txt",
        "prunekit search --budget 25% --save pruned",
    )
    docs: ClassVar[str] = "docs/searchers.md, docs/objectives.md"
    settings: ClassVar[Sequence[str]] = tuple(option.name for option in options_of(Settings))
    plugin_options: ClassVar[bool] = True
    panel: ClassVar[str] = "Search"

    def run(
        self,
        given: dict[str, Any],
        registry: Registry,
        config: Annotated[Path | None, typer.Option(help="YAML file; flags win over it.")] = None,
        workdir: Workdir = Path("prunekit-runs"),
        save: Annotated[
            Path | None, typer.Option(help="Write the pruned model here, a folder or FILE.gguf.")
        ] = None,
        prove: Prove = False,
        dry_run: DryRun = False,
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.engine.estimate import estimate
        from prunekit.engine.known import forget_proofs
        from prunekit.plugins.commands.export.printing import show_written
        from prunekit.plugins.commands.search.printing import show_estimate, show_next, show_result
        from prunekit.plugins.commands.search.saving import prepare, save_result
        from prunekit.plugins.commands.search.search import run_search

        listen(verbose, quiet)
        parsed = read_config(config, given, registry)
        say_if_demo(parsed.settings.model is not None, quiet)
        plan = prepare(parsed, registry, save)
        if dry_run:
            with nothing_kept(), progress_bar(quiet) as progress:
                costs = estimate(plan, progress)
            if json:
                sys.stdout.write(costs.to_json())
            else:
                show_estimate(plan, costs)
            return
        if prove:
            forget_proofs(workdir)
        with progress_bar(quiet) as progress:
            result = run_search(plan, workdir, progress)
        saved = False
        try:
            if save:
                with progress_bar(quiet) as progress:
                    save_result(plan, result, save, progress)
                saved = True
        finally:  # even if it cannot be saved, what was found is not lost
            if json:
                sys.stdout.write(result.to_json())
            else:
                show_result(result)
            if save and saved and not quiet:
                show_written(save, err)
            if not (json or quiet):
                show_next(result.run, saved)


@hookimpl
def prunekit_commands() -> list[type]:
    return [Search]
