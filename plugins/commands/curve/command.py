"""`prunekit curve`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich import box
from rich.table import Table

from prunekit.cli.screen import (
    DryRun,
    Quiet,
    Verbose,
    Workdir,
    listen,
    nothing_kept,
    out,
    progress_bar,
)
from prunekit.cli.variant import say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.core.options import build, options_of
from prunekit.core.registry import Registry
from prunekit.engine.config import read_config
from prunekit.engine.escaping import shell_word
from prunekit.engine.sizes import short_bytes, short_count
from prunekit.plugins.commands.curve.perplexities import perplexities_table
from prunekit.plugins.commands.curve.steps import OF_CURVES, Steps
from prunekit.plugins.commands.curve.words import about_knee, change
from prunekit.plugins.commands.search.printing import show_estimate, signed

if TYPE_CHECKING:
    from prunekit.engine.plan import Plan
    from prunekit.plugins.commands.curve.result import CurveResult, Point


class Curve(Command):
    """Show what each budget costs and saves, up to `--budget` blocks: losses, size and speed.

    Everything measured is kept: after a stop, the same command goes on where it was.
    """

    name: ClassVar[str] = "curve"
    group: ClassVar[str] = "Find blocks"
    examples: ClassVar[Sequence[str]] = ("prunekit curve --model FOLDER --budget 10",)
    docs: ClassVar[str] = "docs/how-many-blocks.md"
    settings: ClassVar[Sequence[str]] = OF_CURVES
    options: ClassVar[type] = Steps
    plugin_options: ClassVar[bool] = True
    panel: ClassVar[str] = "Search"

    def run(
        self,
        given: dict[str, Any],
        registry: Registry,
        config: Annotated[Path | None, typer.Option(help="YAML file; flags win over it.")] = None,
        workdir: Workdir = Path("prunekit-runs"),
        dry_run: DryRun = False,
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.curve.curve import plans_of, prepare, run_curve

        listen(verbose, quiet)
        names = [option.name for option in options_of(Steps) if option.name in given]
        steps = build(Steps, {name: given.pop(name) for name in names})
        parsed = read_config(config, given, registry)
        say_if_demo(parsed.settings.model is not None, quiet)
        plan = prepare(parsed, registry)
        if dry_run:
            _show_estimate(plans_of(plan, steps.every), json, quiet, steps.evaluate)
            return
        with progress_bar(quiet) as progress:
            result = run_curve(plan, steps, workdir, progress)
        if json:
            sys.stdout.write(result.to_json())
        else:
            show_curve(result)


def _show_estimate(plans: Mapping[int, Plan], as_json: bool, quiet: bool, evaluate: str) -> None:
    from prunekit.plugins.commands.curve.estimate import estimate_curve

    with nothing_kept(), progress_bar(quiet) as progress:
        costs = estimate_curve(plans, progress)
    if as_json:
        sys.stdout.write(costs.to_json())
    else:
        show_estimate(plans[max(plans)], costs, len(plans))
        if evaluate:
            out.print(f"not counted: the perplexities on {evaluate}", soft_wrap=True)


def show_curve(result: CurveResult) -> None:
    """Print the table, the knee, and where the picture is."""
    title = f"{result.model}: {result.search}, seed {result.seed}"
    out.print(title, style="bold", soft_wrap=True)
    about = f"losses above dense, in {result.unit}; weights in {result.dtype}; predicted speed"
    out.print(about, soft_wrap=True)
    out.print(_table(result))
    if result.texts:
        out.print(perplexities_table(result))
    out.print(f"{'* ' if result.knee else ''}{about_knee(result)}", soft_wrap=True)
    out.print(f"measured {result.measured:,} subsets in {result.seconds:.1f} s\n")
    if at := _at_knee(result):
        config = shell_word(f"{result.folder}/config.yaml")
        command = f"search --config {config} --budget {at.budget} --save pruned"
        out.print(f"write it     prunekit {command}", soft_wrap=True)
    out.print(f"look at it   {result.folder}/curve.png", soft_wrap=True)


def _at_knee(result: CurveResult) -> Point | None:
    knee = result.knee
    return next((p for p in result.points if knee and p.budget == knee.budget), None)


def _table(result: CurveResult) -> Table:
    """Return a row for each budget, dense first; of nested choices only what is new is shown."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("blocks", overflow="fold")
    for name in ("calibration", "held out", "parameters", "memory", "speed"):
        table.add_column(name, justify="right", no_wrap=True)
    dense, knee = result.points[0], _at_knee(result)
    for before, point in pairwise([dense, *result.points]):
        table.add_row(
            f"{'*' if point is knee else ''}{point.budget}",
            change(point.removed, before.removed),
            f"{point.loss:.4f}" if point is dense else signed(point.above_dense),
            _held_out(point, point is dense),
            f"{short_count(point.parameters)} ({point.parameters / dense.parameters:.0%})",
            short_bytes(point.bytes),
            f"{point.speedup:.2f}x" if point.speedup else "?",
        )
    return table


def _held_out(point: Point, dense: bool) -> str:
    if point.held_out is None:
        return ""
    return f"{point.held_out:.4f}" if dense else signed(point.held_out_above_dense)


@hookimpl
def prunekit_commands() -> list[type]:
    return [Curve]
