"""Which runs can be compared with which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prunekit.plugins.commands.report.reading import Run, Study
from prunekit.plugins.commands.study.files import Cell


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


def _but_chance(cell: Cell) -> object:
    return cell.model, cell.objective, cell.searcher, cell.budget


def _with_seed(run: Run, seed: int) -> Run:
    return replace(run, result=replace(run.result, cell=replace(run.cell, seed=seed)))
