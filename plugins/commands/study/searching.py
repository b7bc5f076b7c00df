"""Search the cells of one group in lock-step over one journal, and make tasks of the groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from prunekit.core.driver import needs_of
from prunekit.core.errors import CheckpointError, ConfigError, PrunekitError, StorageError
from prunekit.core.interfaces import ModelFacts
from prunekit.core.problem import DENSE, single_removals
from prunekit.engine.cost import Speed, importance_cost
from prunekit.engine.finalists import Finals
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan
from prunekit.engine.run import Choice, Outcome, SearchRun, check_dense
from prunekit.engine.session import Session
from prunekit.engine.stability import stability
from prunekit.engine.stored import finite
from prunekit.plugins.commands.study.files import (
    Cell,
    CellFailure,
    CellResult,
    Importance,
    StudyFolder,
)
from prunekit.plugins.commands.study.origin import check_origin, speed_of, threads_of_first_run
from prunekit.plugins.commands.study.tasks import Effort, LoadedModel, OnProgress, reason

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group

"""for each search"""


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
        plan = self.group.plan
        if plan is None or plan.spec in self.loaded.refused:
            raise CheckpointError(self.loaded.refused[plan.spec] if plan else self.group.reason)
        self.loaded.make_room_for(plan.spec)
        with ExitStack() as stack:
            settle = stack.enter_context(threads_of_first_run(self.folder.path))
            try:
                opened = open_session(plan, self.workdir, self.run.on_measured)
                session = stack.enter_context(opened)
            except CheckpointError as error:
                self.loaded.refused[plan.spec] = str(error)
                raise
            except StorageError as error:  # a journal that cannot be read is of this group alone
                raise ConfigError(str(error)) from error
            self.loaded.keep(plan.spec, session.adapter)
            settle(session.facts.fingerprint)
            self._check(session, plan)
            try:
                yield session
            finally:
                self.effort = Effort(session.measured, session.block_runs, self.alone)

    def _check(self, session: Session, plan: Plan) -> None:
        """Raise an error unless the model is as planned and as when the study began, and works."""
        found, planned = session.facts.n_blocks, plan.problem.n_blocks
        if found != planned:
            raise ConfigError(
                f"{self.group.model}: it has {found} blocks, the `config` given for it says "
                f"{planned}; correct that or leave it out"
            )
        tokens = plan.spec.tokens_per_forward
        check_origin(self.folder.path, self.group.model, session.facts, tokens)
        check_dense(session, plan.spec.model)

    def _search(self, session: Session) -> None:
        importance = self._importance(session)
        self.folder.write_importance(importance)
        speed = speed_of(self.folder.path, importance.id, session.speed)
        plans = {cell: self._plan(cell) for cell in self.group.cells}
        with ExitStack() as stack:
            finals = Finals(stack, session, self.workdir)

            def write(cell: Cell, outcome: Outcome) -> None:
                if isinstance(outcome, Choice):
                    result = _result(cell, plans[cell], outcome, session.facts, speed)
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


def _result(cell: Cell, plan: Plan, choice: Choice, facts: ModelFacts, speed: Speed) -> CellResult:
    cost, n_objectives = choice.cost, len(plan.parts)
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
    """Make one task of each group, but of groups that share measurements only one together.

    Side by side they would measure the same at once: a mix of objectives and its parts, or two
    labels for one thing.
    """
    bundles: list[tuple[set[Hashable], list[Group]]] = []
    for group in groups:
        journals = _journals(group)
        together = [bundle for bundle in bundles if bundle[0] & journals]
        bundles = [bundle for bundle in bundles if bundle not in together]
        merged = [g for _, those in together for g in those]
        bundles.append((journals.union(*(keys for keys, _ in together)), [*merged, group]))
    return [SearchTask(tuple(those), folder, workdir) for _, those in bundles]


def _journals(group: Group) -> set[Hashable]:
    """Return what identifies the journals of a group."""
    plan = group.plan
    return {(plan.spec, repr(objective)) for objective, _ in plan.parts} if plan else set()
