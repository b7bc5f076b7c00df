"""Print results and estimates of searches."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from pathlib import Path

from rich import box
from rich.table import Table

from prunekit.cli.screen import out
from prunekit.core.problem import words
from prunekit.engine.escaping import shell_word
from prunekit.engine.estimate import Estimate
from prunekit.engine.finals_cost import FinalsCost
from prunekit.engine.held_out import Finalist, HeldOut
from prunekit.engine.plan import Plan
from prunekit.engine.race import Raced
from prunekit.engine.reading import Difference, Reading
from prunekit.engine.repair_cost import RepairCost
from prunekit.engine.result import SearchResult, Work
from prunekit.engine.sizes import short_bytes, short_count
from prunekit.engine.stability import STABLE, Stability
from prunekit.engine.summary import with_error
from prunekit.engine.weights import Removal
from prunekit.plugins.commands.evaluate.printing import show_verdict

BLOCKS_A_LINE = 60
DEFAULT_RUNS = Path("prunekit-runs", "runs")


def show_result(result: SearchResult) -> None:
    """Print a picture of the blocks, the losses, and the cost."""
    title = f"{result.model}: {result.searcher} on {result.objective}, seed {result.seed}"
    out.print(title, style="bold", soft_wrap=True)
    show_blocks(result.removed, result.n_blocks)
    out.print(_losses(result))
    if result.held_out:
        show_finalists(result, result.held_out)
    if result.stability:
        out.print(_stability(result.stability, result.budget))
    if result.repair:
        out.print(result.repair.words, soft_wrap=True)
    if result.verdict:
        show_verdict(result.verdict)
    work = result.work
    out.print(f"asked {work.asked:,} subsets, measured {work.measured:,} in {work.seconds:.1f} s")
    out.print(f"ran {work.block_runs:,} block forwards, {_spared(work)}", soft_wrap=True)
    if result.race:
        out.print(_race(result.race), soft_wrap=True)
    if result.begins_with:
        out.print(f"calibrated with {result.begins_with} at the beginning of every sample")
    out.print(f"{_removed(result)}\n", soft_wrap=True)


def _removed(result: SearchResult) -> str:
    """Say what went in each unit of a budget."""
    gone, of = result.parameters_removed, result.parameters
    memory = f", {short_bytes(gone * result.parameter_bytes)} in {result.dtype}"
    return (
        f"removed {result.budget} of {result.n_blocks} blocks: {short_count(gone)} of "
        f"{short_count(of)} parameters ({gone / of:.1%}){memory if result.dtype else ''}"
    )


def show_finalists(result: SearchResult, held_out: HeldOut) -> None:
    """Print the finalists, with their losses above dense, and how much the search overfits."""
    title = f"{len(held_out.finalists)} finalists on {held_out.samples} held-out samples"
    out.print(f"{title}, loss above dense:")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    for name in ("found by", "calibration", "held out", "behind"):
        table.add_column(name, no_wrap=True)
    for finalist in held_out.finalists:
        table.add_row(
            _spans(finalist.removed),
            finalist.found_by,
            _above(finalist.loss, result.dense.loss),
            _above(finalist.held_out, held_out.dense),
            _behind(finalist) if finalist is not held_out.finalists[0] else "chosen",
        )
    out.print(table)
    if any(not finalist.apart for finalist in held_out.finalists[1:]):
        out.print("= cannot be told apart from the first at 5 %")
    out.print(_overfitting(held_out.overfitting))


def _spans(removed: Iterable[int]) -> str:
    """Write a subset shortly.

    >>> _spans([13, 5, 12, 14])
    '5, 12-14'
    """
    spans: list[list[int]] = []
    for block in sorted(removed):
        if spans and block == spans[-1][-1] + 1:
            spans[-1].append(block)
        else:
            spans.append([block])
    return ", ".join(f"{s[0]}-{s[-1]}" if len(s) > 1 else str(s[0]) for s in spans)


def _above(loss: float | None, dense: float | None) -> str:
    return "not finite" if loss is None or dense is None else f"{loss - dense:+.4f}"


def _behind(finalist: Finalist) -> str:
    return f"{signed(finalist.behind)}{'' if finalist.apart else ' ='}"


def _overfitting(gap: Difference) -> str:
    """Say by how much more the choice of the search costs on held-out samples."""
    if gap.value is None or gap.standard_error is None or gap.value <= 2 * gap.standard_error:
        return f"overfitting of the search: none beyond chance ({signed(gap)})"
    return f"overfitting of the search: {signed(gap)} more on held-out samples"


def _stability(stability: Stability, budget: int) -> str:
    """Say how much of the choice another draw would repeat, and what would make it stable."""
    same = f"another draw would choose about {stability.agreement * budget:.1f} of {budget} alike"
    if stability.agreement >= STABLE:
        return same
    return f"{same}; use {stability.times or 'far more than 64'} times the samples"


def _race(race: Raced) -> str:
    """Say what races spared, and what their threshold means."""
    if not race.looks:
        return "nothing was raced: that takes 8 calibration samples, and a searcher that can do it"
    return (
        f"races spared {race.spared:,} of {race.evaluations:,} evaluations of a sample; at "
        f"{race.deviations:g} deviations, each of up to {race.looks} looks drops a true winner "
        f"with a chance of about {race.chance:.2g}"
    )


def show_blocks(removed: Collection[int], n_blocks: int) -> None:
    """Print a picture of kept and removed blocks, and their numbers."""
    out.print()
    for line in _picture(removed, n_blocks):
        out.print(line)
    out.print(f"removed {words(removed)} of blocks 0 to {n_blocks - 1}\n", soft_wrap=True)


def show_next(run: str, saved: bool = False) -> None:
    """Print the commands that go on from a finished run."""
    folder = Path(run)
    name = folder.name if folder.parent == DEFAULT_RUNS else run
    commands = {
        "write it": f"export --run {shell_word(name)} --to pruned",
        "evaluate it": f"evaluate --run {shell_word(name)}",
        "read it": f"evaluate --run {shell_word(name)} --prompts demo",
        "time it": f"latency --run {shell_word(name)}",
    }
    for what, command in commands.items():
        if not (saved and what == "write it"):
            out.print(f"{what:13}prunekit {command}", soft_wrap=True)


def show_estimate(plan: Plan, estimate: Estimate, budgets: int = 0) -> None:
    """Print the estimated cost of a search, or of a curve with that number of `budgets`."""
    cost, problem = estimate.cost, plan.problem
    about = "" if cost.complete else "at least "
    saved = cost.block_runs_unshared - cost.block_runs
    removal = f"removes {problem.budget} of {problem.n_blocks} blocks"
    if estimate.removal:
        removal += f": {_removal(estimate.removal)}"
    which = f"{budgets} budgets; the largest " if budgets else ""
    out.print(f"{plan.config.settings.model}: {which}{removal}", soft_wrap=True)
    different = cost.measured - 1
    out.print(f"asks for {about}{cost.asked:,} subsets, {different:,} of them different")
    races = plan.config.settings.race_deviations > 0
    most = "at most " if races and cost.complete else about  # nobody knows what races will spare
    spared = cost.block_runs - cost.block_runs_on
    more = f"; kept states spare {spared:,} more" if spared else ""
    out.print(f"runs {most}{cost.block_runs:,} block forwards, saves {saved:,}{more}")
    if estimate.seconds is None:
        out.print(f"no estimate of the time: {estimate.no_seconds_because}")
    else:
        most = "at most " if races and cost.complete else ""
        time = duration(estimate.seconds)
        out.print(f"takes {most}about {time} here, if nothing was measured before")
    if estimate.typical:
        times = [f"{name} {duration(took)}" for name, took in estimate.typical.items()]
        out.print(f"other calibration sets would take: {'; '.join(times)}", soft_wrap=True)
    if finals := estimate.finalists:
        those = "the choices and the dense model" if budgets else "the finalists"
        out.print(_finals_cost(finals, those), soft_wrap=True)
    if estimate.repair:
        out.print(_repair_cost(estimate.repair), soft_wrap=True)
    if estimate.checkpoint:
        out.print(f"with --save: {estimate.checkpoint}", soft_wrap=True)


def _removal(of: Removal) -> str:
    """Say what blocks are in other units."""
    least = "at least " if of.at_least else ""
    return (
        f"{least}{short_count(of.parameters)} of {short_count(of.of_parameters)} parameters "
        f"({of.parameters / of.of_parameters:.1%}), {short_bytes(of.bytes)} in {of.dtype}"
    )


def _finals_cost(finals: FinalsCost, those: str) -> str:
    line = f"then measures at most {finals.subsets} subsets, {those}, on held-out samples"
    if finals.times and finals.block_runs and finals.seconds is not None:
        line += f" ({finals.times} times as many): {finals.block_runs:,} block forwards"
        line += f", about {duration(finals.seconds)}"
    return line


def _repair_cost(repair: RepairCost) -> str:
    took = "" if repair.seconds is None else f", about {duration(repair.seconds)}"
    return (
        f"{repair.name} is fitted on at most {repair.tokens:,} other tokens{took}, and keeps "
        f"{short_bytes(repair.bytes)} of them; each new cut takes a little more"
    )


def duration(seconds: float) -> str:
    """Format a time in a suitable unit."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _spared(work: Work) -> str:
    """Say what sharing saved, or that several processes at one run cost more than it saved."""
    saved = work.block_runs_alone - work.block_runs
    if saved < 0:
        return f"{-saved:,} more than one by one: several processes measured the same"
    return f"saved {saved:,}"


def _picture(removed: Collection[int], n_blocks: int) -> list[str]:
    kept, gone = ("#", ".") if out.options.ascii_only else ("█", "·")
    marks = "".join(gone if i in removed else kept for i in range(n_blocks))
    lines = [marks[i : i + BLOCKS_A_LINE] for i in range(0, len(marks), BLOCKS_A_LINE)]
    return [*lines[:-1], f"{lines[-1]}   {kept} kept  {gone} removed"]


def _losses(result: SearchResult) -> Table:
    extra = list(result.dense.readings)
    table = Table("", f"loss ({result.unit})", *extra, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_row("dense", *_numbers(result.dense))
    table.add_row("pruned", *_numbers(result.pruned))
    table.add_row("difference", signed(result.difference))
    if result.runner_up and not result.held_out:
        name = f"runner-up {words(result.runner_up.removed)}"
        table.add_row(name, signed(result.runner_up.behind))
    return table


def _numbers(reading: Reading) -> list[str]:
    return [_number(reading.loss, 4), *(_number(x, 2) for x in reading.readings.values())]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "not finite"


def signed(difference: Difference) -> str:
    """Format a difference of losses with its standard error."""
    text = with_error(difference)
    return text.replace("±", "+/-") if out.options.ascii_only else text
