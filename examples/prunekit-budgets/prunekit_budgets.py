"""The command `budgets`: the loss with 1, 2, 3, ... blocks removed."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from rich import box
from rich.table import Table

from prunekit.cli.screen import Quiet, Verbose, Workdir, listen, out, progress_bar
from prunekit.core import Command, ConfigError, hookimpl


class Budgets(Command):
    """Search with budgets from 1 block up, and print how the loss grows.

    Nothing is measured twice. After an interruption, the same command resumes.
    """

    name: ClassVar[str] = "budgets"
    settings: ClassVar[Sequence[str]] = (
        "model",
        "searcher",
        "objective",
        "protect_first",
        "protect_last",
        "protect",
        "seed",
        "adapter",
        "backend",
        "device",
        "dtype",
        "revision",
        "trust_remote_code",
        "tokens_per_forward",
    )
    plugin_options: ClassVar[bool] = True
    panel: ClassVar[str] = "Search"

    def run(
        self,
        given: dict[str, Any],
        to: Annotated[int, typer.Option(help="The largest budget.")] = 4,
        workdir: Workdir = Path("prunekit-runs"),
        json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        """Search with the budgets `to`, ..., 2, 1, and print them in rising order."""
        listen(verbose, quiet)
        results = search_budgets(given, to, workdir, quiet)
        if json:
            # Not out.print, which breaks lines at the width of the terminal.
            print(jsonlib.dumps([row(result) for result in results], indent=2))
        else:
            show(results)


def search_budgets(given: dict[str, Any], to: int, workdir: Path, quiet: bool) -> list[Any]:
    """Return what `prunekit.search` returns for the budgets 1 to `to`.

    Raises ConfigError if `to` is not possible. The largest budget is searched first, so that one
    that is too large fails before anything is measured.
    """
    from prunekit import search  # imports torch: too slow for every start

    if to < 1:
        raise ConfigError(f"--to {to}: expected at least 1 block; leave it out for budgets to 4")
    results = []
    with progress_bar(quiet) as progress:
        for budget in range(to, 0, -1):
            progress.count(f"budget {budget}", to - budget, to, "budgets")
            results.append(search(**given, budget=budget, workdir=workdir))
    return results[::-1]


def row(result: Any) -> dict[str, Any]:
    """Return what is printed of a search, as plain data."""
    return {
        "budget": result.budget,
        "removed": list(result.removed),
        "loss": result.pruned.loss,
        "change": result.difference.value,
        "standard_error": result.difference.standard_error,
        "share_of_parameters": result.parameters_removed / result.parameters,
        "run": result.run,
    }


def show(results: Sequence[Any]) -> None:
    """Print a table with one row for each budget."""
    first = results[0]
    title = f"{first.model}: {first.searcher} on {first.objective}, seed {first.seed}"
    out.print(title, style="bold", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("budget", justify="right")
    table.add_column("blocks removed", overflow="fold")
    for name in (f"loss ({first.unit})", "change", "standard error", "parameters removed"):
        table.add_column(name, justify="right")
    table.add_row("0", "none", f"{first.dense.loss:.4f}", "", "", "0.0%")
    for values in map(row, results):
        table.add_row(
            str(values["budget"]),
            ",".join(map(str, values["removed"])),
            f"{values['loss']:.4f}",
            _number(values["change"], "+.4f"),
            _number(values["standard_error"], ".4f"),
            f"{values['share_of_parameters']:.1%}",
        )
    out.print(table)


def _number(value: float | None, form: str) -> str:
    """Format a number; one that cannot be estimated, as from a single sample, is left out."""
    return "" if value is None else format(value, form)


@hookimpl
def prunekit_commands() -> list[type]:
    """Return the plugins of this distribution."""
    return [Budgets]
