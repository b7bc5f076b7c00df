"""How results look in a terminal."""

from __future__ import annotations

import math
from pathlib import Path

from rich import box
from rich.table import Table

from prunekit.cli.screen import out
from prunekit.core.problem import words
from prunekit.workflows.estimate import Estimate
from prunekit.workflows.plan import Plan
from prunekit.workflows.result import Difference, Reading, SearchResult

BLOCKS_A_LINE = 60


def show_result(result: SearchResult, saved: Path | None) -> None:
    """The picture of the blocks, the losses, the cost, and what to do next."""
    out.print(
        f"[bold]{result.model}[/]: {result.searcher} on {result.objective}, seed {result.seed}\n"
    )
    out.print(_picture(result), markup=False)
    out.print(f"removed {words(result.removed)} of blocks 0 to {result.n_blocks - 1}\n")
    out.print(_losses(result))
    work = result.work
    share = result.parameters_removed / result.parameters
    out.print(f"asked {work.asked:,} subsets, measured {work.measured:,} in {work.seconds:.1f} s")
    spared = work.block_runs_alone - work.block_runs
    out.print(f"ran {work.block_runs:,} block forwards, saved {spared:,}")
    out.print(
        f"removed {result.parameters_removed:,} of {result.parameters:,} parameters ({share:.1%})\n"
    )
    out.print(_next(result, saved), soft_wrap=True, markup=False)


def _next(result: SearchResult, saved: Path | None) -> str:
    if saved:
        return f"saved {saved}"
    return f"to write the model: prunekit export --run {result.run} --to pruned"


def show_estimate(plan: Plan, estimate: Estimate) -> None:
    """What a search will take, before any of it is spent."""
    cost, problem = estimate.cost, plan.problem
    about = "" if cost.complete else "at least "
    saved = cost.block_runs_alone - cost.block_runs
    out.print(f"{plan.config.settings.model}: {problem.budget} of {problem.n_blocks} blocks go")
    out.print(f"asks for {about}{cost.asked:,} subsets, {cost.measured:,} with the dense model")
    out.print(f"runs {about}{cost.block_runs:,} block forwards, saves {saved:,}")
    if estimate.seconds is None:
        out.print(f"no estimate of the time: {estimate.no_seconds_because}", markup=False)
    else:
        out.print(f"takes about {_duration(estimate.seconds)} here, if nothing was measured before")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _picture(result: SearchResult) -> str:
    marks = "".join("·" if i in result.removed else "█" for i in range(result.n_blocks))
    lines = [marks[i : i + BLOCKS_A_LINE] for i in range(0, len(marks), BLOCKS_A_LINE)]
    return "\n".join(lines) + "   █ kept  · removed"


def _losses(result: SearchResult) -> Table:
    extra = list(result.dense.readings)
    table = Table("", f"loss ({result.unit})", *extra, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_row("dense", *_numbers(result.dense))
    table.add_row("pruned", *_numbers(result.pruned))
    table.add_row("difference", _signed(result.difference))
    if result.runner_up:
        name = f"runner-up {words(result.runner_up.removed)}"
        table.add_row(name, _signed(result.runner_up.behind))
    return table


def _numbers(reading: Reading) -> list[str]:
    return [_number(reading.loss, 4), *(_number(x, 2) for x in reading.readings.values())]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "not finite"


def _signed(difference: Difference) -> str:
    if difference.value is None:
        return "not finite"
    return f"{difference.value:+.4f} ± {difference.standard_error:.4f}"
