"""Which runs can be compared with which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prunekit.core.problem import Subset
from prunekit.workflows.report.reading import Run, Study
from prunekit.workflows.study.files import Cell


def on_every_seed(study: Study, **fixed: Any) -> list[Run]:
    """The runs with these values; one of a searcher without chance stands for every seed.

    Such a searcher is planned with a single seed, since it would choose the same with any other.
    Counted once for each seed, it weighs as much as the others and has its partner in all pairs.
    """
    seeds: dict[object, set[int]] = {}
    for cell in study.planned:
        seeds.setdefault(_but_chance(cell), set()).add(cell.seed)
    runs = []
    for run in study.where(**fixed):
        alone = len(seeds[_but_chance(run.cell)]) == 1
        runs += [_with_seed(run, seed) for seed in study.seeds] if alone else [run]
    return runs


def seeds_alike(study: Study, **fixed: Any) -> tuple[int, int]:
    """In how many cases all seeds chose the same blocks, and of how many with several seeds.

    A case is a search but for its seed: model, objective, searcher, budget and draw.
    """
    choices: dict[object, list[Subset]] = {}
    for run in study.where(**fixed):
        case = (_but_chance(run.cell), run.cell.draw)
        choices.setdefault(case, []).append(run.removed)
    several = [of_case for of_case in choices.values() if len(of_case) > 1]
    return sum(len(set(of_case)) == 1 for of_case in several), len(several)


def _but_chance(cell: Cell) -> object:
    return cell.model, cell.objective, cell.searcher, cell.budget


def _with_seed(run: Run, seed: int) -> Run:
    return replace(run, result=replace(run.result, cell=replace(run.cell, seed=seed)))
