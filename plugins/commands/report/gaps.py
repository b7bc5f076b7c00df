"""What a study lacks so far, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prunekit.core.problem import Subset, words
from prunekit.plugins.commands.report.reading import Study
from prunekit.plugins.commands.report.wording import count
from prunekit.plugins.commands.study.files import Cell


@dataclass(frozen=True)
class Gap:
    """Something that is missing."""

    sentence: str
    items: tuple[str, ...] = ()
    """each of the things it speaks of"""


def gaps(study: Study) -> list[Gap]:
    """Cells that failed or did not run, and variants that were not evaluated, or not wholly."""
    planned = count(len(study.planned), "cell")
    found = []
    if study.failures:
        failed = tuple(f"{_named(f.cell)}: {f.error}" for f in study.failures)
        found.append(Gap(f"{len(failed):,} of {planned} failed", failed))
    if study.not_run:
        found.append(
            Gap(f"{len(study.not_run):,} of {planned} have not run", _names(study.not_run))
        )
    if not study.tasks and not study.protocols:
        found.append(
            Gap("no variant was evaluated, so that accuracies and perplexities are missing")
        )
    elif study.not_evaluated:
        n = count(len(study.not_evaluated), "variant")
        found.append(Gap(f"{n} not evaluated", _variants(study.not_evaluated)))
    if study.incomplete:
        n = count(len(study.incomplete), "variant")
        found.append(
            Gap(
                f"{n} evaluated on some of the tasks or texts only, so without an average",
                _variants(study.incomplete),
            )
        )
    if study.runs and not study.importances:
        found.append(Gap("the losses of single removals are missing"))
    return found


def _names(cells: Iterable[Cell]) -> tuple[str, ...]:
    return tuple(map(_named, cells))


def _named(cell: Cell) -> str:
    return (
        f"{cell.model}, {cell.objective}, {cell.searcher}, k = {cell.budget}, "
        f"seed {cell.seed}, draw {cell.draw}"
    )


def _variants(variants: Iterable[tuple[str, Subset]]) -> tuple[str, ...]:
    return tuple(
        f"{model} without {words(removed)}" if removed else f"{model}, dense"
        for model, removed in variants
    )
