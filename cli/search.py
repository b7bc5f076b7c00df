"""`prunekit search`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prunekit.cli.results import show_estimate, show_next, show_result
from prunekit.cli.screen import DryRun, Quiet, Verbose, Workdir, bar, err, listen
from prunekit.core.registry import load
from prunekit.workflows.config import parse, parse_file
from prunekit.workflows.estimate import estimate
from prunekit.workflows.export import check_target
from prunekit.workflows.plan import resolve
from prunekit.workflows.search import run_search, save_result


def search(
    given: dict[str, Any],
    config: Annotated[Path | None, typer.Option(help="YAML file; flags win over it.")] = None,
    workdir: Workdir = Path("prunekit-runs"),
    save: Annotated[Path | None, typer.Option(help="Write the pruned model here.")] = None,
    dry_run: DryRun = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find which blocks of a model can go.

    Everything measured is kept: after a stop, the same command goes on where it was.
    """
    listen(verbose)
    registry = load()
    parsed = parse_file(config, given, registry) if config else parse(given, registry)
    if parsed.settings.model is None and not quiet:
        err.print("no --model given: taking demo, a small model that comes with prunekit")
    if save:
        check_target(save)
    plan = resolve(parsed, registry)
    if dry_run:
        costs = estimate(plan)
        if json:
            sys.stdout.write(costs.to_json())
        else:
            show_estimate(plan, costs)
        return
    with bar(quiet) as progress:
        result = run_search(plan, workdir, progress)
    if json:
        sys.stdout.write(result.to_json())
    else:
        show_result(result)
    if save:
        save_result(plan, result, save)
        err.print(f"saved {save}", soft_wrap=True)
    if not json:
        show_next(result.run, saved=save is not None)
