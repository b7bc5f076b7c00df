"""`prunekit study`."""

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
    listen,
    nothing_kept,
    out,
    progress_bar,
)
from prunekit.core import Command, hookimpl
from prunekit.engine.escaping import shell_word

Jobs = typer.Option(
    "--jobs",
    "-j",
    min=1,
    help="Processes at once; by default as many as cores and memory allow, 1 on a GPU.",
)


class Study(Command):
    """Run many searches: models by objectives by searchers by budgets, and evaluate their choices.

    Everything measured is kept: after a stop, the same command goes on where it was.
    """

    name: ClassVar[str] = "study"
    group: ClassVar[str] = "Compare"
    rank: ClassVar[int] = 0
    examples: ClassVar[Sequence[str]] = (
        "prunekit study my-study.yaml --init",
        "prunekit study my-study.yaml --dry-run",
    )
    docs: ClassVar[str] = "docs/studies.md"
    settings: ClassVar[Sequence[str]] = ("device", "tokens_per_forward", "trust_remote_code")
    panel: ClassVar[str] = "Search"

    def run(
        self,
        given: dict[str, Any],
        file: Annotated[Path, typer.Argument(help="YAML file: models, objectives, searchers, ...")],
        init: Annotated[
            bool, typer.Option("--init", help="Write FILE, a study of a demo to start from.")
        ] = False,
        only: Annotated[
            str | None, typer.Option(help="Cells to run, as objective=ppl,searcher=cbo*.")
        ] = None,
        jobs: Annotated[int | None, Jobs] = None,
        workdir: Workdir = Path("prunekit-runs"),
        prove: Prove = False,
        dry_run: DryRun = False,
        json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.core.registry import load
        from prunekit.engine.known import forget_proofs
        from prunekit.plugins.commands.study.config import read_study
        from prunekit.plugins.commands.study.estimate import estimate_study
        from prunekit.plugins.commands.study.printing import (
            show_jobs,
            show_outcome,
            show_study_estimate,
        )
        from prunekit.plugins.commands.study.run import jobs_of, plan, run_study
        from prunekit.plugins.commands.study.starting import write_study

        listen(verbose)
        if init:
            write_study(file)
            out.print(f"wrote {file}; look at it, then", soft_wrap=True)
            out.print(f"  prunekit study {shell_word(str(file))} --dry-run", soft_wrap=True)
            return
        planned = plan(read_study(file, load(), given), workdir, only)
        if dry_run:
            with nothing_kept(), progress_bar(quiet) as progress:
                estimate = estimate_study(planned, jobs, progress)
            if json:
                sys.stdout.write(estimate.to_json())
            else:
                show_study_estimate(planned, estimate)
            raise typer.Exit(1 if estimate.failures else 0)
        if prove:
            forget_proofs(workdir)
        jobs = jobs_of(planned, jobs)
        if not quiet:
            show_jobs(jobs)
        with progress_bar(quiet) as progress:
            outcome = run_study(planned, jobs, progress)
        if json:
            sys.stdout.write(outcome.to_json())
        else:
            show_outcome(outcome, quiet)
        if outcome.failures or outcome.effort.unevaluated:
            raise typer.Exit(1)


@hookimpl
def prunekit_commands() -> list[type]:
    return [Study]
