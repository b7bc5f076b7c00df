"""Find which blocks can go."""

from __future__ import annotations

import math
import warnings
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.driver import Driver, needs_of
from prunekit.core.errors import Interrupted, OutOfMemory, PrunekitError, Remark
from prunekit.core.problem import DENSE, words
from prunekit.core.registry import load
from prunekit.engine.account import Account
from prunekit.engine.arguments import takes
from prunekit.engine.best_so_far import Improvement
from prunekit.engine.config import Settings, parse
from prunekit.engine.dry_run import dry_run_cost
from prunekit.engine.files import check_writable, write_text
from prunekit.engine.finalists import Finals, rankings
from prunekit.engine.known import forget_proofs, load_known
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan, check_searcher
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quietly
from prunekit.engine.race import Race
from prunekit.engine.repaired import Repaired
from prunekit.engine.repairing import refit_choice
from prunekit.engine.result import NO_WORK, SearchResult
from prunekit.engine.run import Choice, SearchRun, check_dense
from prunekit.engine.runs import RUNS
from prunekit.engine.session import Session
from prunekit.engine.stability import stability
from prunekit.engine.suspicion import suspicion
from prunekit.hf.roundtrip import check_dense as check_dense_model
from prunekit.plugins.commands.search.outcome import result_of, second
from prunekit.plugins.commands.search.saving import prepare, save_result
from prunekit.plugins.commands.search.smaller_batches import with_smaller_batches

DRY_RUN_SECONDS = 3.0


@takes(Settings, plugins=True)
@quietly()
def search(
    model: str | None = None,
    *,
    workdir: str | Path = "prunekit-runs",
    save: str | Path | None = None,
    prove: bool = False,
    progress: Reporting = False,
    **given: Any,
) -> SearchResult:
    """Choose blocks of `model` to remove, and save a checkpoint without them if asked.

    Without a model, a demo is taken.

    `given` has the words of the command line and of configuration files: `searcher="genetic"`,
    `objective="ppl"`, `budget=4`, `genetic={"population": 8}`. Everything measured is kept under
    `workdir`, so that a call repeated after a stop goes on where it was; so is the proof on loading
    a model, which counts no longer with `prove`.

    Raises PrunekitError, whose message says what to do.
    """
    registry = load()
    plan = prepare(parse({"model": model, **given}, registry), registry, save)
    if prove:
        forget_proofs(Path(workdir))
    with reporting(progress) as shown:
        result = run_search(plan, Path(workdir), shown)
        if save:
            save_result(plan, result, Path(save), shown)
    return result


def run_search(plan: Plan, workdir: Path, progress: Progress | None = None) -> SearchResult:
    """Carry out a plan: search, and write the run's folder.

    Warns with a Remark if the pruned model beats the dense one. The folder comes to be when model
    and data are there, so that a start that fails leaves none.
    """
    check_searcher(plan)
    check_writable(workdir)
    while True:
        folder = workdir / RUNS / plan.name
        written = folder.absolute() / "result.json"
        try:
            result = _Search(plan, folder, progress or Progress()).result(workdir)
            break
        except OutOfMemory:
            plan = with_smaller_batches(plan)
    write_text(written, result.to_json())
    if remark := suspicion(result.difference, result.unit, result.objective):
        warnings.warn(remark, Remark, stacklevel=2)
    return result


def check_generates(session: Session) -> None:
    """Raise CheckpointError if the dense model does not generate, so that none could be proven.

    A model in other processes is not checked; its checkpoint is refused when it is written.
    """
    if session.adapter is not None:
        with session.adapter.bypassing(DENSE) as dense:
            check_dense_model(dense)


class _Search:
    """One run of a searcher, with what must be known when it is interrupted."""

    def __init__(self, plan: Plan, folder: Path, progress: Progress) -> None:
        self.plan = plan
        self.name = plan.config.settings.searcher
        self.name_of_run = str(folder)
        self.folder = folder.absolute()  # a plugin may change the working directory
        self.workdir = self.folder.parents[1]
        self.progress = progress
        self.account: Account | None = None
        self.spent = NO_WORK
        deviations = plan.config.settings.race_deviations
        self.race = Race(deviations) if deviations else None
        self.run = SearchRun[str](partial(_advance, progress), race=self.race)

    def result(self, workdir: Path) -> SearchResult:
        self.progress.begin("loading the model")
        opened = open_session(self.plan, workdir, self.run.on_measured, self._on_written)
        try:
            with opened as session:
                return self._search(session)
        except KeyboardInterrupt:
            raise Interrupted(self._farewell(workdir)) from None

    def _search(self, session: Session) -> SearchResult:
        if self.plan.to_save:
            check_generates(session)
        self.progress.begin("measuring the dense model")
        check_dense(session, self.plan.spec.model)
        write_text(self.folder / "config.yaml", _config_text(self.plan))
        self.account = Account(self.folder, session)
        self._start(session)
        outcomes = self.run.finish(session, {self.name: self.plan}, on_end=self._close_account)
        if isinstance(choice := outcomes[self.name], PrunekitError):
            raise choice
        improvements = self._improvements(choice)
        raced = self.race.raced() if self.race else None
        self.progress.begin("estimating the stability of the choice")
        stable = None if raced and raced.spared else stability(choice.driver, session)
        most = self.plan.config.settings.finalists
        at_most = most + len(rankings(load())) + 1  # the dense model too
        self.progress.begin("measuring finalists", "subsets", lambda: at_most)
        with ExitStack() as stack:
            finals = Finals(stack, session, self.workdir, self.progress.advance)
            held_out = finals.choose(self.plan, self.name, choice.driver, most)
        if held_out:
            choice = Choice.of(held_out.winner, session, choice.cost, choice.driver)
        result = result_of(self.plan, session, choice, self.spent, self.name_of_run)
        return replace(
            result,
            repair=self._repaired(session, choice),
            runner_up=second(held_out) if held_out else result.runner_up,
            held_out=held_out,
            stability=stable,
            race=raced,
            improvements=improvements,
        )

    def _improvements(self, choice: Choice) -> tuple[Improvement, ...]:
        best = self.run.lockstep.best[self.name]
        best.note(
            [choice.removed], [choice.loss], choice.cost.block_runs
        )  # it may be the first time
        return best.above(choice.dense_loss, len(self.plan.parts))

    def _repaired(self, session: Session, choice: Choice) -> Repaired | None:
        if self.plan.spec.repairing is None:
            return None
        self.progress.begin("fitting the repair of the choice")
        adapter = session.adapter or load_known(self.plan.spec, self.workdir, load())
        return refit_choice(adapter, choice.removed, self.folder)

    def _start(self, session: Session) -> None:
        """Measure the signals that the searcher needs, and let it begin."""
        if needs := needs_of(self.plan.searcher):
            self.progress.begin(f"measuring {', '.join(s.name for s in needs)}")
        self.run.start(session, {self.name: self.plan})
        self.progress.begin("searching", "subsets", partial(_expected, self.plan))

    def _close_account(self, name: str) -> None:
        """Add up the cost of the search; what describes its choice is no part of that."""
        account, self.account = self.account, None
        assert account is not None
        account.keep()
        self.spent = account.total()

    @property
    def driver(self) -> Driver | None:
        return self.run.lockstep.drivers.get(self.name)

    def _on_written(self) -> None:
        if self.account:
            self.account.keep()

    def _farewell(self, workdir: Path) -> str:
        found = self.driver.best if self.driver else None
        if not self.run.measured and found is None:
            return "stopped before anything new was measured; run the same command again"
        best = "No subset of the wanted size was measured yet"
        if self.driver and found is not None:
            loss = self.driver.losses[found]
            best = f"Best so far: blocks {words(found)}, {loss:.4f} {self.plan.objective.unit}"
            if not math.isfinite(loss):
                best = "No subset of the wanted size has a finite loss so far"
        return (
            f"stopped. {best}. What was measured, {self.run.measured:.0f} subsets' worth, is saved "
            f"in {workdir / 'journals'}; run the same command again to go on"
        )


def _advance(progress: Progress, run: SearchRun[str]) -> None:
    for driver in run.lockstep.drivers.values():
        note = "" if driver.best is None else f"best {driver.losses[driver.best]:.4f}"
        progress.advance(driver.asked + run.measured_now, note)


def _expected(plan: Plan) -> float | None:
    cost = dry_run_cost(plan.searcher, plan.problem, DRY_RUN_SECONDS)
    return cost.asked if cost.complete else None


def _config_text(plan: Plan) -> str:
    import yaml

    return yaml.safe_dump(plan.config.as_dict(), sort_keys=False)
