"""Print estimates and outcomes of studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Column, Table

from prunekit.cli.screen import err, out
from prunekit.core.problem import words
from prunekit.engine.escaping import shell_word
from prunekit.engine.study_folder import Cell, CellFailure
from prunekit.plugins.commands.search.printing import duration
from prunekit.plugins.commands.study.planning import coordinates

if TYPE_CHECKING:
    from prunekit.engine.cost import Cost
    from prunekit.plugins.commands.study.estimate import StudyEstimate
    from prunekit.plugins.commands.study.run import Study, StudyOutcome


def show_study_estimate(study: Study, estimate: StudyEstimate) -> None:
    """Print the estimated cost of a study."""
    searches = len(estimate.cells)
    out.print(f"{estimate.name}: {searches} searches in {len(study.chosen)} groups", style="bold")
    listed = coordinates(study.chosen)
    width = max(map(len, listed))
    for key, values in listed.items():
        out.print(f"{key:{width}} {', '.join(values)}")
    out.print(_counts(estimate))
    out.print(
        "subsets asked for, and those that differ with the dense model and each single removal; "
        "block forwards of all these together, of each search alone, and of every subset asked for "
        "by itself; > where a search has no end in sight\n"
    )
    out.print(_needs(estimate))
    out.print(
        "bytes of a process, and what all searches of a model take in one process if nothing was "
        f"measured before; processes at once: {estimate.jobs} (--jobs)\n"
    )
    for why, models in _by_reason_unknown(estimate).items():
        out.print(f"not known of {', '.join(models)}: {why}")
    if most := study.config.finalists:
        out.print(
            f"finalists come on top: the {most} best subsets of each search, and the choices of "
            "rankings, on held-out samples"
        )
    if subsets := sum(of.measured for of in _on_other_draws(estimate)):
        runs = sum(of.block_runs for of in _on_other_draws(estimate))
        out.print(
            f"each choice is measured on the other draws, too: at most {subsets:,} subsets in "
            f"{runs:,} block forwards on top"
        )
    wanted = study.config.evaluate
    if what := [*wanted.perplexities, *wanted.tasks]:
        names = ", ".join(dict.fromkeys(what))
        out.print(f"then every distinct choice and the dense models are evaluated on {names}")
    _show_failures(estimate.failures, "would fail")


def show_jobs(jobs: int) -> None:
    """Print how many processes work at once, if there are several."""
    if jobs > 1:
        err.print(f"up to {jobs} processes at once; --jobs says how many", soft_wrap=True)


def show_outcome(outcome: StudyOutcome, quiet: bool = False) -> None:
    """Print what was done, what failed, and what comes next."""
    done, failed = len(outcome.results), len(outcome.failures)
    asked = sum(result.asked for result in outcome.results)
    out.print(f"{done} of {done + failed} searches are done; they asked for {asked:,} subsets")
    effort = outcome.effort
    line = f"measured {effort.measured:,} subsets now, in {effort.block_runs:,} block forwards"
    if effort.block_runs_alone:
        line += f"; one by one, with empty journals, they take {effort.block_runs_alone:,}"
    out.print(line)
    _show_failures(outcome.failures, "failed")
    for missing in outcome.effort.unevaluated:
        variant = f"{missing.model} without {words(missing.removed)}"
        err.print(f"not evaluated: {variant}: {missing.error}", style="red", soft_wrap=True)
    if not quiet:
        folder = shell_word(outcome.folder)
        out.print(f"to see what came out: prunekit report {folder}", soft_wrap=True)


def _counts(estimate: StudyEstimate) -> Table:
    """Make the table of subsets and block forwards."""
    heads = ("searches", "asked", "different", "together", "alone", "unshared")
    numbers = [Column(head, justify="right") for head in heads]
    table = Table(Column("", overflow="fold"), *numbers, box=box.SIMPLE_HEAD, pad_edge=False)
    for model in estimate.models:
        cells = [f"{model.searches:,}"]
        if cost := model.cost:
            counts = [cost.asked, cost.measured, cost.block_runs]
            counts += [cost.block_runs_alone, cost.block_runs_unshared]
            cells += [f"{count:,}" if cost.complete else f">{count:,}" for count in counts]
        table.add_row(model.model, *cells)
    return table


def _needs(estimate: StudyEstimate) -> Table:
    """Make the table of memory and time."""
    heads = ("weights", "states", "calibration data", "about")
    columns = [Column(head, justify="right") for head in heads]
    table = Table(Column("", overflow="fold"), *columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for model in estimate.models:
        sizes = (model.weights_bytes, model.states_bytes, model.calibration_bytes)
        time = "–" if model.seconds is None else duration(model.seconds)
        table.add_row(model.model, *map(_size, sizes), time)
    return table


def _size(count: int | None) -> str:
    if count is None:
        return "–"
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1000:.0f} kB"


def _on_other_draws(estimate: StudyEstimate) -> list[Cost]:
    return [model.other_draws for model in estimate.models if model.other_draws]


def _by_reason_unknown(estimate: StudyEstimate) -> dict[str, list[str]]:
    """Group models by the reason why something is not known of them."""
    reasons: dict[str, list[str]] = {}
    for model in estimate.models:
        for why in model.unknown_because:
            reasons.setdefault(why, []).append(model.model)
    return reasons


def _show_failures(failures: Sequence[CellFailure], word: str) -> None:
    for why, cells in _by_reason(failures).items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        err.print(f"{word}: {cells[0].id}{more}: {why}", style="red", soft_wrap=True)


def _by_reason(failures: Sequence[CellFailure]) -> dict[str, list[Cell]]:
    """Group failed cells by the reason."""
    reasons: dict[str, list[Cell]] = {}
    for failure in failures:
        reasons.setdefault(failure.error, []).append(failure.cell)
    return reasons
