"""Measure the choices of each calibration draw on the other draws of the same condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prunekit.core.errors import StorageError
from prunekit.core.problem import DENSE, Subset
from prunekit.engine.cost import Cost, CostCounter
from prunekit.engine.stored import subset_name
from prunekit.engine.study_folder import CellResult, StudyFolder
from prunekit.plugins.commands.study.draw_losses import DrawLosses
from prunekit.plugins.commands.study.opening import bundled, open_group
from prunekit.plugins.commands.study.tasks import (
    Effort,
    LoadedModel,
    OnProgress,
    Unevaluated,
    reason,
)

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group

Wanted = tuple["Group", tuple[Subset, ...]]
"""a group, and the choices of other draws that are not measured on its draw"""


@dataclass(frozen=True)
class DrawTask:
    """Choices of other draws that are measured on one draw, under objectives that share them."""

    wanted: tuple[Wanted, ...]
    folder: Path
    workdir: Path

    @property
    def title(self) -> str:
        """Model and draw."""
        first, _ = self.wanted[0]
        return f"{first.model}, choices of other draws on draw {first.draw}"

    @property
    def n_subsets(self) -> int:
        """How many are measured."""
        return sum(len(subsets) for _, subsets in self.wanted)

    def run(self, loaded: LoadedModel, on_progress: OnProgress) -> Effort:
        """Measure them; an error is reported and stops one group alone."""
        effort, done = Effort(), 0
        for group, subsets in self.wanted:
            effort += self._measure(group, subsets, loaded, partial(_beyond, done, on_progress))
            done += len(subsets)
            on_progress(float(done))
        return effort

    def _measure(
        self, group: Group, subsets: Sequence[Subset], loaded: LoadedModel, on_progress: OnProgress
    ) -> Effort:
        folder, known = StudyFolder(self.folder), _known(group, self.folder)
        try:
            with open_group(group, folder, self.workdir, loaded, on_progress) as session:
                session.losses([DENSE, *subsets])
                found = {subset_name(s): session.difference(s, DENSE).value for s in subsets}
                replace(known, differences={**known.differences, **found}).write(self.folder)
                return Effort(session.measured, session.block_runs, _alone(group, subsets))
        except StorageError:
            raise
        except Exception as error:
            return _failed(group, subsets, reason(error))

    def abandon(self, reason: str) -> Effort:
        """Return what was not measured."""
        effort = Effort()
        for group, subsets in self.wanted:
            effort += _failed(group, _known(group, self.folder).missing(subsets), reason)
        return effort


def _beyond(before: int, on_progress: OnProgress, done: float) -> None:
    on_progress(before + done)


def _known(group: Group, folder: Path) -> DrawLosses:
    found = DrawLosses(group.model, group.objective, group.draw, calibration=group.calibration)
    return found.kept(folder)


def _alone(group: Group, subsets: Sequence[Subset]) -> int:
    """Return the block forwards of these subsets if nothing was measured before."""
    assert group.plan is not None  # no session is opened without one
    counter = CostCounter(group.plan.problem.n_blocks)
    counter.measure(subsets)
    return counter.block_runs * len(group.plan.parts)


def _failed(group: Group, subsets: Sequence[Subset], reason: str) -> Effort:
    where = f"on draw {group.draw} under {group.condition}"
    missing = (Unevaluated(group.model, tuple(sorted(s)), f"{where}: {reason}") for s in subsets)
    return Effort(unevaluated=tuple(missing))


def draw_tasks(groups: Sequence[Group], folder: Path, workdir: Path) -> list[DrawTask]:
    """Return what is left to measure: every choice, on all draws of its condition but its own."""
    wanted = {
        id(group): tuple(missing)
        for group in groups
        if (missing := _known(group, folder).missing(_choices_elsewhere(group, groups, folder)))
    }
    return [
        DrawTask(tuple((group, wanted[id(group)]) for group in those), folder, workdir)
        for those in bundled([group for group in groups if id(group) in wanted])
    ]


def _choices_elsewhere(group: Group, groups: Sequence[Group], folder: Path) -> set[Subset]:
    """Return what the searches of the other draws chose; nothing if none of its own has ended."""
    if not _choices([group], folder):
        return set()
    return _choices(_others(group, groups), folder)


def _choices(groups: Sequence[Group], folder: Path) -> set[Subset]:
    found = (StudyFolder(folder).cell(cell) for group in groups for cell in group.cells)
    return {frozenset(result.removed) for result in found if isinstance(result, CellResult)}


def _others(group: Group, groups: Sequence[Group]) -> list[Group]:
    """Return the groups that differ in the draw alone."""

    def coordinates(of: Group) -> tuple[str, str, str]:
        return of.model, of.objective, of.calibration

    others = [other for other in groups if other.draw != group.draw]
    return [other for other in others if coordinates(other) == coordinates(group)]


def most_on_other_draws(groups: Sequence[Group]) -> Cost:
    """Count what `draw_tasks` would find: the most, as if all searches chose differently."""
    cost = Cost()
    for group in groups:
        if group.plan is None:
            continue
        cells = [cell for other in _others(group, groups) for cell in other.cells]
        runs = sum(group.plan.problem.n_blocks - cell.budget for cell in cells)
        found = Cost(len(cells), len(cells), runs, runs, runs)
        cost += found.under(len(group.plan.parts))
    return cost
