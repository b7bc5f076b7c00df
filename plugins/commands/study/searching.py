"""Search the cells of one group in lock-step over one journal, and make tasks of the groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from prunekit.core.driver import needs_of
from prunekit.core.errors import CheckpointError, ConfigError, PluginError, StorageError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import DENSE, Problem, Subset, single_removals
from prunekit.engine.cost import CostCounter, Speed
from prunekit.engine.lockstep import LockStep, importance_cost
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan
from prunekit.engine.session import Session
from prunekit.engine.stored import finite
from prunekit.plugins.commands.search.search import check_choice, check_dense
from prunekit.plugins.commands.study.files import (
    Cell,
    CellFailure,
    CellResult,
    Importance,
    StudyFolder,
)
from prunekit.plugins.commands.study.origin import check_origin, speed_of, threads_of_first_run
from prunekit.plugins.commands.study.planning import Group
from prunekit.plugins.commands.study.tasks import Effort, LoadedModel, Tell, reason


def search_group(
    group: Group, folder: StudyFolder, workdir: Path, loaded: LoadedModel, tell: Tell
) -> Effort:
    """Search the cells that have no result yet, and write what comes out of each.

    What goes wrong becomes the failure of the cells that it stops. Raises StorageError where
    nothing can be written.
    """
    missing = group.unfinished(folder)
    if not missing.cells:
        return Effort()
    return _GroupSearch(missing, folder, workdir, loaded, tell).run()


class _GroupSearch:
    """One group in progress."""

    def __init__(
        self, group: Group, folder: StudyFolder, workdir: Path, loaded: LoadedModel, tell: Tell
    ) -> None:
        self.group = group
        self.folder = folder
        self.workdir = workdir
        self.loaded = loaded
        self.tell = tell
        self.unwritten = list(group.cells)
        self.effort = Effort()
        self.alone = 0
        self.known: set[Subset] = set()
        self.new_in_round = 0
        self.measured = self.measured_before_round = 0.0

    def run(self) -> Effort:
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
                opened = open_session(plan, self.workdir, self._on_measured)
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
        """That the model is the one that was planned and begun with, and works."""
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
        speed = self._speed(session, importance.id)
        lockstep = LockStep(self._searches(session), self._first_plan.measured_first)

        def evaluate(wanted: Sequence[Subset]) -> dict[Subset, float]:
            choices = self._choices(lockstep)
            losses = self._losses(session, list(dict.fromkeys([*wanted, *choices.values()])))
            for cell, removed in choices.items():
                self._write(self._outcome(cell, removed, lockstep.costs[cell], session, speed))
            return losses

        lockstep.run(evaluate)
        searched = importance_cost(session.facts.n_blocks).block_runs + lockstep.block_runs_alone()
        self.alone = searched * len(self._first_plan.parts)
        for cell, error in lockstep.failed.items():
            self._write(CellFailure(cell, error))

    def _speed(self, session: Session, group: str) -> Speed:
        return speed_of(self.folder.path, group, session.speed)

    def _choices(self, lockstep: LockStep[Cell]) -> dict[Cell, Subset]:
        """Those not written yet; a searcher may choose what it never measured."""
        return {c: s for c, s in lockstep.removed.items() if c in self.unwritten}

    def _importance(self, session: Session) -> Importance:
        singles = single_removals(session.facts.n_blocks)
        losses = self._losses(session, [DENSE, *singles])
        return Importance(
            model=self.group.model,
            objective=self.group.objective,
            draw=self.group.draw,
            unit=self._plan(self.unwritten[0]).objective.unit,
            dense=finite(losses[DENSE]),
            singles=tuple(finite(losses[single]) for single in singles),
        )

    def _searches(self, session: Session) -> dict[Cell, tuple[Searcher, Problem]]:
        """The searches that have the signals they need; the others fail."""
        searches = {}
        for cell in list(self.unwritten):
            plan = self._plan(cell)
            try:
                signals = {s.name: session.signal(s) for s in needs_of(plan.searcher)}
            except (ConfigError, PluginError) as error:
                self._write(CellFailure(cell, str(error)))
                continue
            searches[cell] = plan.searcher, replace(plan.problem, signals=signals)
        return searches

    def _losses(self, session: Session, subsets: Sequence[Subset]) -> dict[Subset, float]:
        self.new_in_round = len(set(subsets) - self.known)
        self.measured_before_round = self.measured
        losses = dict(zip(subsets, session.losses(subsets), strict=True))
        self.known |= losses.keys()
        self.tell(len(self.known))
        return losses

    def _on_measured(self, subsets: float) -> None:
        self.measured = subsets
        now = min(max(0.0, subsets - self.measured_before_round), self.new_in_round)
        self.tell(len(self.known) + now)

    def _outcome(
        self, cell: Cell, removed: Subset, counter: CostCounter, session: Session, speed: Speed
    ) -> CellResult | CellFailure:
        try:
            check_choice(session, cell.searcher, removed, self._plan(cell).spec.model)
        except CheckpointError as error:
            return CellFailure(cell, str(error))
        return self._result(cell, removed, counter, session, speed)

    def _result(
        self, cell: Cell, removed: Subset, counter: CostCounter, session: Session, speed: Speed
    ) -> CellResult:
        plan, facts = self._plan(cell), session.facts
        loss, dense_loss = session.losses([removed, DENSE])
        difference = session.difference(removed, DENSE)
        return CellResult(
            cell=cell,
            removed=tuple(sorted(removed)),
            n_blocks=facts.n_blocks,
            unit=plan.objective.unit,
            loss=finite(loss),
            dense_loss=finite(dense_loss),
            difference=difference.value,
            standard_error=difference.standard_error,
            asked=counter.asked,
            block_runs=len(plan.parts) * counter.block_runs,
            block_runs_unshared=len(plan.parts) * counter.block_runs_alone,
            seconds=round(speed.seconds(counter.block_runs, len(counter.seen)), 3),
            parameters=facts.parameters,
            parameters_removed=sum(facts.block_parameters[i] for i in removed),
            signals=tuple(s.name for s in needs_of(plan.searcher)),
        )

    @property
    def _first_plan(self) -> Plan:
        """One that stands for all in what the group shares."""
        return self._plan(self.group.cells[0])

    def _plan(self, cell: Cell) -> Plan:
        plan = self.group.plans[cell]
        assert plan is not None  # no session is opened without one
        return plan

    def _write(self, outcome: CellResult | CellFailure) -> None:
        self.folder.write_cell(outcome)
        self.unwritten.remove(outcome.cell)


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
        objectives = ", ".join(group.objective for group in self.groups)
        return f"{first.model}, {objectives}, draw {first.draw}"

    def run(self, loaded: LoadedModel, tell: Tell) -> Effort:
        """Search all cells that have no result yet."""
        effort, steps = Effort(), _Steps(tell)
        for group in self.groups:
            effort += search_group(group, StudyFolder(self.folder), self.workdir, loaded, steps)
            steps.go_on()
        return effort

    def abandon(self, reason: str) -> Effort:
        """The cells that have no result failed."""
        folder = StudyFolder(self.folder)
        for group in self.groups:
            for cell in group.unfinished(folder).cells:
                folder.write_cell(CellFailure(cell, reason))
        return Effort()


def search_tasks(groups: Sequence[Group], folder: Path, workdir: Path) -> list[SearchTask]:
    """One task for each group, but for groups that measure the same under some part.

    Those follow each other, since side by side they would measure the same at once: a mix of
    objectives and its parts, or two labels for one thing.
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
    """What tells the journals of a group from others."""
    plan = group.plan
    return {(plan.spec, repr(objective)) for objective, _ in plan.parts} if plan else set()


class _Steps:
    """Adds what a group says of itself to what the groups before it did."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._before = self._last = 0.0

    def __call__(self, done: float) -> None:
        self._last = done
        self._tell(self._before + done)

    def go_on(self) -> None:
        """The next group begins."""
        self._before, self._last = self._before + self._last, 0.0
