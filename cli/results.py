"""How results look in a terminal."""

from __future__ import annotations

import math
import shlex

from rich import box
from rich.table import Table

from prunekit.cli.screen import out
from prunekit.core.problem import words
from prunekit.workflows.estimate import Estimate
from prunekit.workflows.plan import Plan
from prunekit.workflows.result import Difference, Reading, SearchResult

BLOCKS_A_LINE = 60


def show_result(result: SearchResult) -> None:
    """The picture of the blocks, the losses, and what they cost."""
    title = f"{result.model}: {result.searcher} on {result.objective}, seed {result.seed}"
    out.print(title, style="bold", soft_wrap=True)
    out.print()
    out.print(_picture(result))
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


def show_next(result: SearchResult) -> None:
    """The command that writes the pruned model."""
    run = shlex.quote(result.run)
    out.print(f"to write the model: prunekit export --run {run} --to pruned", soft_wrap=True)


def show_estimate(plan: Plan, estimate: Estimate) -> None:
    """What a search will take, before any of it is spent."""
    cost, problem = estimate.cost, plan.problem
    about = "" if cost.complete else "at least "
    saved = cost.block_runs_alone - cost.block_runs
    out.print(f"{plan.config.settings.model}: {problem.budget} of {problem.n_blocks} blocks go")
    different = cost.measured - 1
    out.print(f"asks for {about}{cost.asked:,} subsets, {different:,} of them different")
    out.print(f"runs {about}{cost.block_runs:,} block forwards, saves {saved:,}")
    if estimate.seconds is None:
        out.print(f"no estimate of the time: {estimate.no_seconds_because}")
    else:
        out.print(f"takes about {duration(estimate.seconds)} here, if nothing was measured before")


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _picture(result: SearchResult) -> str:
    kept, removed = ("#", ".") if out.options.ascii_only else ("█", "·")
    marks = "".join(removed if i in result.removed else kept for i in range(result.n_blocks))
    lines = [marks[i : i + BLOCKS_A_LINE] for i in range(0, len(marks), BLOCKS_A_LINE)]
    return "\n".join(lines) + f"   {kept} kept  {removed} removed"


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
    if difference.standard_error is None:
        return f"{difference.value:+.4f}"
    sign = "+/-" if out.options.ascii_only else "±"
    return f"{difference.value:+.4f} {sign} {difference.standard_error:.4f}"
