"""Search the cells of one group in lock-step over one journal, and make tasks of the groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from prunekit.core.driver import needs_of
from prunekit.core.errors import PrunekitError, StorageError
from prunekit.core.problem import DENSE, single_removals
from prunekit.core.spec import ModelFacts
from prunekit.engine.best_so_far import BestSoFar
from prunekit.engine.cost import Speed, importance_cost
from prunekit.engine.finalists import Finals
from prunekit.engine.plan import Plan
from prunekit.engine.run import Choice, Outcome, SearchRun
from prunekit.engine.session import Session
from prunekit.engine.stability import stability
from prunekit.engine.stored import finite
from prunekit.engine.study_folder import (
    Cell,
    CellFailure,
    CellResult,
    Importance,
    StudyFolder,
)
from prunekit.plugins.commands.study.opening import bundled, open_group
from prunekit.plugins.commands.study.origin import speed_of
from prunekit.plugins.commands.study.tasks import Effort, LoadedModel, OnProgress, reason

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group


class _GroupSearch:
    """The search of a group's cells.

    An error becomes the failure of the cells that it stops. Raises StorageError if nothing can be
    written.
    """

    def __init__(
        self,
        group: Group,
        folder: StudyFolder,
        workdir: Path,
        loaded: LoadedModel,
        on_progress: OnProgress,
    ) -> None:
        self.group = group
        self.folder = folder
        self.workdir = workdir
        self.loaded = loaded
        self.unwritten = list(group.cells)
        self.effort = Effort()
        self.alone = 0
        self.run = SearchRun[Cell](
            lambda run: on_progress(len(run.known) + run.measured_now), lambda cell: cell.searcher
        )

    def search(self) -> Effort:
        try:
            with self._opened() as session:
                self._search(session)
        except StorageError:
            raise
        except Exception as error:
            for cell in list(self.unwritten):
                self._write(CellFailure(cell, reason(error)))
        return self.effort

    @contextmanager
    def _opened(self) -> Iterator[Session]:
        opened = open_group(
            self.group, self.folder, self.workdir, self.loaded, self.run.on_measured
        )
        with opened as session:
            try:
                yield session
            finally:
                self.effort = Effort(session.measured, session.block_runs, self.alone)

    def _search(self, session: Session) -> None:
        importance = self._importance(session)
        self.folder.write_importance(importance)
        speed = speed_of(self.folder.path, importance.id, session.speed)
        plans = {cell: self._plan(cell) for cell in self.group.cells}
        with ExitStack() as stack:
            finals = Finals(stack, session, self.workdir)

            def write(cell: Cell, outcome: Outcome) -> None:
                if isinstance(outcome, Choice):
                    best = self.run.lockstep.best[cell]
                    result = _result(cell, plans[cell], outcome, session.facts, speed, best)
                    self._write(_with_finalists(result, plans[cell], outcome, session, finals))
                else:
                    self._write(CellFailure(cell, str(outcome)))

            self.run.start(session, plans)
            self.run.finish(session, plans, on_outcome=write)
        searched = importance_cost(session.facts.n_blocks).block_runs
        searched += self.run.lockstep.block_runs_alone()
        self.alone = searched * len(plans[self.group.cells[0]].parts)

    def _importance(self, session: Session) -> Importance:
        singles = single_removals(session.facts.n_blocks)
        losses = self.run.losses(session, [DENSE, *singles])
        return Importance(
            model=self.group.model,
            objective=self.group.objective,
            calibration=self.group.calibration,
            draw=self.group.draw,
            unit=self._plan(self.unwritten[0]).objective.unit,
            dense=finite(losses[DENSE]),
            singles=tuple(finite(losses[single]) for single in singles),
        )

    def _plan(self, cell: Cell) -> Plan:
        plan = self.group.plans[cell]
        assert plan is not None  # no session is opened without one
        return plan

    def _write(self, outcome: CellResult | CellFailure) -> None:
        self.folder.write_cell(outcome)
        self.unwritten.remove(outcome.cell)


def _result(
    cell: Cell, plan: Plan, choice: Choice, facts: ModelFacts, speed: Speed, best: BestSoFar
) -> CellResult:
    cost, n_objectives = choice.cost, len(plan.parts)
    best.note([choice.removed], [choice.loss], cost.block_runs)  # it may never have been measured
    return CellResult(
        cell=cell,
        removed=tuple(sorted(choice.removed)),
        n_blocks=facts.n_blocks,
        unit=plan.objective.unit,
        loss=finite(choice.loss),
        dense_loss=finite(choice.dense_loss),
        difference=choice.difference.value,
        standard_error=choice.difference.standard_error,
        asked=cost.asked,
        block_runs=n_objectives * cost.block_runs,
        block_runs_unshared=n_objectives * cost.block_runs_unshared,
        seconds=round(speed.seconds(cost.block_runs, len(cost.seen)), 3),
        parameters=facts.parameters,
        parameters_removed=choice.parameters_removed,
        signals=tuple(s.name for s in needs_of(plan.searcher)),
        improvements=best.above(choice.dense_loss, n_objectives),
    )


def _with_finalists(
    found: CellResult, plan: Plan, choice: Choice, session: Session, finals: Finals
) -> CellResult | CellFailure:
    """Measure the finalists that the study asks for; an error is the failure of this cell alone.

    Raises StorageError if nothing can be written.
    """
    most = plan.config.settings.finalists
    if not most:
        return found
    try:
        return replace(
            found,
            finalists=most,
            held_out=finals.choose(plan, found.cell.searcher, choice.driver, most),
            stability=stability(choice.driver, session),
        )
    except StorageError:
        raise
    except PrunekitError as error:
        return CellFailure(found.cell, str(error))


@dataclass(frozen=True)
class SearchTask:
    """Groups that are searched one after the other, as they share measurements."""

    groups: tuple[Group, ...]
    folder: Path
    workdir: Path

    @property
    def title(self) -> str:
        """Model, objectives and draw."""
        first = self.groups[0]
        objectives = ", ".join(group.condition for group in self.groups)
        return f"{first.model}, {objectives}, draw {first.draw}"

    def run(self, loaded: LoadedModel, on_progress: OnProgress) -> Effort:
        """Search all cells that have no result yet."""
        effort, done = Effort(), [0.0]

        def advance(done_in_group: float) -> None:
            done[-1] = done_in_group
            on_progress(sum(done))

        folder = StudyFolder(self.folder)
        for group in self.groups:
            if (missing := group.unfinished(folder)).cells:
                effort += _GroupSearch(missing, folder, self.workdir, loaded, advance).search()
            done.append(0.0)
        return effort

    def abandon(self, reason: str) -> Effort:
        """Let the cells without a result fail."""
        folder = StudyFolder(self.folder)
        for group in self.groups:
            for cell in group.unfinished(folder).cells:
                folder.write_cell(CellFailure(cell, reason))
        return Effort()


def search_tasks(groups: Sequence[Group], folder: Path, workdir: Path) -> list[SearchTask]:
    """Make one task of each group, but of groups that share measurements only one together."""
    return [SearchTask(tuple(those), folder, workdir) for those in bundled(groups)]
