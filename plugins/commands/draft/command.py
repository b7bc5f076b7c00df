"""`prunekit draft`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prunekit.cli.screen import DryRun, Quiet, Verbose, Workdir, listen, nothing_kept, progress_bar
from prunekit.cli.variant import Budget, Remove, Run, parse_blocks, say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.plugins.commands.draft.options import OF_SEARCHES, Drafting


class Draft(Command):
    """Find the pruned model that is the best draft of its own dense model; try and write it.

    At each of `--budgets` a search removes blocks by `--objective agree`, or accept. The dense
    model continues `--prompts`; where a draft is right there, and what its step costs, say how many
    tokens come out of a forward, and whether it pays. One draft is named by --run or --remove.
    """

    name: ClassVar[str] = "draft"
    group: ClassVar[str] = "Make a model"
    examples: ClassVar[Sequence[str]] = (
        "prunekit draft --model FOLDER --budgets 2,4,8 --prompts my-prompts.txt",
        "prunekit draft --model FOLDER --remove 5,17 --to draft",
    )
    docs: ClassVar[str] = "docs/draft.md"
    defaults: ClassVar[Mapping[str, str]] = {"objective": "agree"}
    settings: ClassVar[Sequence[str]] = OF_SEARCHES
    options: ClassVar[type] = Drafting
    plugin_options: ClassVar[bool] = True
    panel: ClassVar[str] = "Search and drafts"

    def run(
        self,
        given: dict[str, Any],
        to: Annotated[
            Path | None, typer.Option(help="Folder to write; must not exist.", metavar="FOLDER")
        ] = None,
        run: Run = None,
        budget: Budget = None,
        remove: Remove = None,
        workdir: Workdir = Path("prunekit-runs"),
        dry_run: DryRun = False,
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.draft.draft import draft
        from prunekit.plugins.commands.draft.estimate import estimate_draft
        from prunekit.plugins.commands.draft.plan import prepare
        from prunekit.plugins.commands.draft.printing import show_draft_estimate, show_drafts
        from prunekit.plugins.commands.draft.result import NoDraftPays

        listen(verbose, quiet)
        say_if_demo(run is not None or "model" in given, quiet)
        blocks = parse_blocks(remove)
        if dry_run:
            model = given.pop("model", None)
            plan = prepare(model, run, blocks, budget, to, workdir, given)
            with nothing_kept(), progress_bar(quiet) as progress:
                costs = estimate_draft(plan, progress)
            sys.stdout.write(costs.to_json()) if json else show_draft_estimate(plan, costs)
            return
        missed: NoDraftPays | None = None
        with progress_bar(quiet) as progress:
            try:
                result = draft(
                    **given,
                    to=to,
                    run=run,
                    budget=budget,
                    remove=blocks,
                    workdir=workdir,
                    progress=progress,
                )
            except NoDraftPays as error:
                result, missed = error.result, error
        if json:
            sys.stdout.write(result.to_json())
        else:
            show_drafts(result, quiet)
        if missed:
            raise missed


@hookimpl
def prunekit_commands() -> list[type]:
    return [Draft]
