"""`prunekit latency`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich import box
from rich.table import Table

from prunekit.cli.screen import Quiet, Verbose, Workdir, listen, out, progress_bar
from prunekit.cli.variant import Budget, Remove, Run, parse_blocks, say_if_demo
from prunekit.core import Command, hookimpl
from prunekit.core.problem import words
from prunekit.engine.variant import MODEL_SETTINGS
from prunekit.plugins.commands.latency.benchmark import Spread, Workload

if TYPE_CHECKING:
    from prunekit.plugins.commands.latency.latency import LatencyResult


class Latency(Command):
    """Compare the speed and memory of a pruned model with those of the dense one."""

    name: ClassVar[str] = "latency"
    group: ClassVar[str] = "Check it"
    examples: ClassVar[Sequence[str]] = ("prunekit latency --run NAME",)
    docs: ClassVar[str] = "docs/troubleshooting/where-is-the-speed-up.md"
    settings: ClassVar[Sequence[str]] = MODEL_SETTINGS
    options: ClassVar[type] = Workload
    panel: ClassVar[str] = "Model and workload"

    def run(
        self,
        given: dict[str, Any],
        run: Run = None,
        budget: Budget = None,
        remove: Remove = None,
        workdir: Workdir = Path("prunekit-runs"),
        json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        from prunekit.plugins.commands.latency.latency import latency as measure

        listen(verbose)
        say_if_demo(run is not None or "model" in given, quiet)
        blocks = parse_blocks(remove)
        with progress_bar(quiet) as progress:
            result = measure(
                **given, run=run, budget=budget, remove=blocks, workdir=workdir, progress=progress
            )
        if json:
            sys.stdout.write(result.to_json())
        else:
            show_latency(result)


def show_latency(result: LatencyResult) -> None:
    """Print dense, pruned and ratio: speeds with quartiles, memory, parameters."""
    work = result.workload
    out.print(f"{result.model} without blocks {words(result.removed)}", soft_wrap=True)
    threads = f", threads: {result.threads}" if result.device.startswith("cpu") else ""
    out.print(f"{result.device}, {result.dtype}{threads}", soft_wrap=True)
    out.print(
        f"{work.batch_size} x {work.prompt_length:,} tokens of prompt, then {work.new_tokens:,} "
        f"decoded; medians and quartiles of {work.repeats}"
    )
    out.print(_table(result))
    out.print(f"peak memory: {result.peak_is}\n", soft_wrap=True)


def _table(result: LatencyResult) -> Table:
    dense, pruned = result.dense, result.pruned
    table = Table("", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("dense", "pruned", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, a, b, ratio in (
        ("prefill, tokens/s", dense.prefill, pruned.prefill, result.prefill_ratio),
        ("decode, tokens/s", dense.decode, pruned.decode, result.decode_ratio),
    ):
        table.add_row(name, _speed(a.median), _speed(b.median), f"{ratio.median:.3f}")
        table.add_row("  quartiles", _range(a), _range(b), f"{ratio.low:.3f}-{ratio.high:.3f}")
    for name, of_dense, of_pruned in (
        ("peak memory, MB", dense.peak_bytes / 1e6, pruned.peak_bytes / 1e6),
        ("weights, MB", dense.weight_bytes / 1e6, pruned.weight_bytes / 1e6),
    ):
        ratio_of = f"{of_pruned / of_dense:.3f}"
        table.add_row(name, f"{of_dense:,.2f}", f"{of_pruned:,.2f}", ratio_of)
    for name, of_dense, of_pruned in (
        ("cache, bytes a token", dense.cache_bytes_per_token, pruned.cache_bytes_per_token),
        ("parameters", dense.parameters, pruned.parameters),
    ):
        ratio_of = f"{of_pruned / of_dense:.3f}" if of_dense else ""
        table.add_row(name, f"{of_dense:,.0f}", f"{of_pruned:,.0f}", ratio_of)
    return table


def _range(spread: Spread) -> str:
    return f"{_speed(spread.low)}-{_speed(spread.high)}"


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@hookimpl
def prunekit_commands() -> list[type]:
    return [Latency]
