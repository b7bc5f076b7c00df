"""How studies look in a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich import box
from rich.table import Column, Table

from prunekit.cli.results import duration
from prunekit.cli.screen import err, out
from prunekit.core.problem import words
from prunekit.workflows.study.estimate import ModelEstimate, StudyEstimate
from prunekit.workflows.study.files import Cell, CellFailure
from prunekit.workflows.study.run import Study, StudyOutcome
from prunekit.workflows.study.selection import coordinates


def show_study_estimate(study: Study, estimate: StudyEstimate) -> None:
    """What a study will take, before any of it is spent."""
    searches = len(estimate.cells)
    out.print(f"{estimate.name}: {searches} searches in {len(study.chosen)} groups", style="bold")
    for key, values in coordinates(study.chosen).items():
        out.print(f"{key:9} {', '.join(values)}")
    out.print(_counts(estimate))
    out.print(
        "subsets asked for and how many of them differ; block forwards of all searches together, "
        "of each alone, and of every subset by itself\n"
    )
    for model in estimate.models:
        _show_needs(model)
    wanted = study.config.wanted
    if what := [*wanted.perplexities, *wanted.tasks]:
        names = ", ".join(dict.fromkeys(what))
        out.print(f"then every distinct choice and the dense models are evaluated on {names}")


def show_outcome(outcome: StudyOutcome, quiet: bool = False) -> None:
    """What was done, what failed, and what comes next."""
    done, failed = len(outcome.results), len(outcome.failures)
    asked = sum(result.asked for result in outcome.results)
    alone = sum(result.block_runs for result in outcome.results)
    out.print(f"{done} of {done + failed} searches are done; they asked for {asked:,} subsets")
    out.print(
        f"measured {outcome.effort.measured:,} subsets now, in {outcome.effort.block_runs:,} block "
        f"forwards; one by one all searches would have run {alone:,}"
    )
    for why, cells in _by_reason(outcome.failures).items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        err.print(f"failed: {cells[0].id}{more}: {why}", style="red", soft_wrap=True)
    for missing in outcome.effort.unevaluated:
        variant = f"{missing.model} without {words(missing.removed)}"
        err.print(f"not evaluated: {variant}: {missing.error}", style="red", soft_wrap=True)
    if not quiet:
        folder = shlex.quote(outcome.folder)
        out.print(f"to see what came out: prunekit report {folder}", soft_wrap=True)


def _counts(estimate: StudyEstimate) -> Table:
    """Subsets and block forwards."""
    heads = ("searches", "asked", "different", "together", "alone", "unshared")
    numbers = [Column(head, justify="right") for head in heads]
    table = Table(Column("", overflow="fold"), *numbers, box=box.SIMPLE_HEAD, pad_edge=False)
    for model in estimate.models:
        cells = [model.searches]
        if cost := model.cost:
            cells += [cost.asked, cost.measured, cost.block_runs]
            cells += [cost.block_runs_alone, cost.block_runs_unshared]
        table.add_row(model.model, *(f"{number:,}" for number in cells))
    return table


def _show_needs(model: ModelEstimate) -> None:
    """Memory and time, and why one of them is not known."""
    known = []
    if model.weights_bytes is not None and model.states_bytes is not None:
        known.append(
            f"about {_size(model.weights_bytes + model.states_bytes)} of memory "
            f"(weights {_size(model.weights_bytes)}, states {_size(model.states_bytes)})"
        )
    if model.calibration_bytes is not None:
        known.append(f"calibration data {_size(model.calibration_bytes)}")
    if model.seconds is not None:
        known.append(f"about {duration(model.seconds)} here, if nothing was measured before")
    unknown = [f"not known: {reason}" for reason in model.unknown_because]
    for line in [", ".join(known), *unknown]:
        if line:
            out.print(f"{model.model}: {line}", soft_wrap=True)


def _size(count: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1000:.0f} kB"


def _by_reason(failures: Sequence[CellFailure]) -> dict[str, list[Cell]]:
    """Failures of one cause take one line."""
    reasons: dict[str, list[Cell]] = {}
    for failure in failures:
        reasons.setdefault(failure.error, []).append(failure.cell)
    return reasons
