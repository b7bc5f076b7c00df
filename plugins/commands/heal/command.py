"""`prunekit heal`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import DryRun, Quiet, Verbose, Workdir, listen, nothing_kept, progress_bar
from prunekit.cli.variant import Budget, Remove, Run, parse_blocks, say_if_demo
from prunekit.core import Command, ConfigError, hookimpl
from prunekit.engine.training import OF_HEALING, Training


class Heal(Command):
    """Train a pruned model on text, taught by its dense model, and verify the checkpoint.

    Of a run, of a model without --remove, or of a checkpoint that prunekit wrote. The text is that
    of an objective, as --ppl.data FILE; here --ppl.samples, 32 by default, are held out, of
    --ppl.length 256, cut from all documents joined. After a stop, the same command goes on from its
    last checkpoint.
    """

    name: ClassVar[str] = "heal"
    group: ClassVar[str] = "Make a model"
    examples: ClassVar[Sequence[str]] = (
        "prunekit heal --model pruned --ppl.data my-text.txt --dry-run",
        "prunekit heal --model pruned --ppl.data my-text.txt --to healed",
    )
    docs: ClassVar[str] = "docs/after-pruning.md"
    settings: ClassVar[Sequence[str]] = OF_HEALING
    options: ClassVar[type] = Training
    plugin_options: ClassVar[bool] = True
    plugin_kinds: ClassVar[Sequence[str]] = ("objective",)
    panel: ClassVar[str] = "Models and training"

    def run(
        self,
        given: dict[str, Any],
        to: Annotated[
            Path | None, typer.Option(help="Folder to write; must not exist.", metavar="FOLDER")
        ] = None,
        run: Run = None,
        budget: Budget = None,
        remove: Remove = None,
        teacher: Annotated[
            str | None, typer.Option(help="Dense model of a checkpoint, if it is not beside it.")
        ] = None,
        max_ppl_ratio: Annotated[
            float | None, typer.Option(help="Exit with 3 above this healed/dense perplexity.")
        ] = None,
        workdir: Workdir = Path("prunekit-runs"),
        dry_run: DryRun = False,
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.heal.estimate import estimate_heal
        from prunekit.plugins.commands.heal.heal import heal
        from prunekit.plugins.commands.heal.printing import show_heal_estimate, show_healed
        from prunekit.plugins.commands.heal.result import TooMuchLost

        listen(verbose, quiet)
        say_if_demo(run is not None or "model" in given, quiet)
        which: dict[str, Any] = {"run": run, "budget": budget, "teacher": teacher}
        which["remove"] = parse_blocks(remove)
        if dry_run:
            with nothing_kept(), progress_bar(quiet) as progress:
                costs = estimate_heal(**given, **which, workdir=workdir, progress=progress)
            sys.stdout.write(costs.to_json()) if json else show_heal_estimate(costs)
            return
        if to is None:
            raise ConfigError("--to is missing: name a folder to write, which must not exist")
        missed: TooMuchLost | None = None
        with progress_bar(quiet) as progress:
            try:
                result = heal(
                    **given,
                    **which,
                    to=to,
                    max_ppl_ratio=max_ppl_ratio,
                    workdir=workdir,
                    progress=progress,
                )
            except TooMuchLost as error:
                result, missed = error.result, error
        if json:
            sys.stdout.write(result.to_json())
        else:
            show_healed(result, quiet)
        if missed:
            raise missed


@hookimpl
def prunekit_commands() -> list[type]:
    return [Heal]
