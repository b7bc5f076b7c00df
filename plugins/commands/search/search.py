"""Find which blocks can go."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from prunekit.core.driver import Driver, needs_of
from prunekit.core.errors import CheckpointError, Interrupted, Remark, StorageError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import DENSE, Problem, Subset, words
from prunekit.core.registry import Registry, load
from prunekit.core.trie import block_runs_alone
from prunekit.engine.account import Account
from prunekit.engine.config import SearchConfig, parse
from prunekit.engine.cost import rehearse
from prunekit.engine.escaping import shell_word
from prunekit.engine.exportable import fit_to_checkpoint
from prunekit.engine.files import check_writable, write_text
from prunekit.engine.opening import open_session
from prunekit.engine.plan import Plan, check_searcher, resolve
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quietly
from prunekit.engine.result import RunnerUp, SearchResult, Work
from prunekit.engine.session import Session
from prunekit.engine.versions import versions
from prunekit.hf.roundtrip import check_dense as check_dense_model
from prunekit.hf.side_files import tokenizer_digest
from prunekit.plugins.commands.export.export import check_target, export_checkpoint

REHEARSAL_SECONDS = 3.0


@quietly()
def search(
    model: str | None = None,
    *,
    workdir: str | Path = "prunekit-runs",
    save: str | Path | None = None,
    **given: Any,
) -> SearchResult:
    """Choose blocks of `model` to remove, and save a checkpoint without them where asked.

    Without a model, a demo is taken.

    `given` has the words of the command line and of configuration files: `searcher="genetic"`,
    `objective="ppl"`, `budget=4`, `genetic={"population": 8}`. Everything measured is kept under
    `workdir`, so that a call repeated after a stop goes on where it was.

    Raises PrunekitError, whose message says what to do.
    """
    registry = load()
    plan = prepare(parse({"model": model, **given}, registry), registry, save)
    result = run_search(plan, Path(workdir))
    if save:
        save_result(plan, result, Path(save))
    return result


def prepare(config: SearchConfig, registry: Registry, save: str | Path | None = None) -> Plan:
    """Make the plan of a search, narrowed to what can be written where it is to be saved.

    Warns with a Remark if it had to be narrowed, and if other programs may take what is written for
    another model. Raises ConfigError, StorageError or CheckpointError if nothing could be written.
    """
    if not save:
        return resolve(config, registry)
    check_target(Path(save))
    plan = replace(fit_to_checkpoint(resolve(config, registry)), to_save=True)
    for remark in filter(None, (plan.remark, _remark_on_pattern(plan))):
        warnings.warn(remark, Remark, stacklevel=2)
    return plan


def _remark_on_pattern(plan: Plan) -> str:
    if plan.pattern is None or plan.config.settings.keep_pattern:
        return ""
    return (
        f"the kinds of blocks repeat every {plan.pattern.period} blocks "
        f"({', '.join(plan.pattern.kinds)}), and llama.cpp and others rely on that; what is saved "
        "may run in transformers only, unless --keep-pattern is given"
    )


def run_search(plan: Plan, workdir: Path, progress: Progress | None = None) -> SearchResult:
    """Carry out a plan: search, and write the run's folder.

    The folder comes to be when model and data are there, so that a start that fails leaves none.
    """
    check_searcher(plan)
    check_writable(workdir)
    folder = workdir / "runs" / plan.name
    result = _Search(plan, folder, progress or Progress()).run(workdir)
    write_text(folder / "result.json", result.to_json())
    return result


def save_result(plan: Plan, result: SearchResult, to: Path) -> None:
    """Write the checkpoint without the blocks that a search chose."""
    removed = frozenset(result.removed)
    try:
        export_checkpoint(plan.spec, removed, to, result=result.as_dict(), config=plan.config)
    except StorageError as error:
        run = shell_word(result.run)
        raise StorageError(
            f"{error}. What was found is kept: `prunekit export --run {run} --to FOLDER` writes it "
            "elsewhere"
        ) from error


def check_dense(session: Session, model: str) -> None:
    """CheckpointError where a model is broken before any block is gone."""
    if not session.works(DENSE):
        raise CheckpointError(
            f"{model}: the loss of the dense model is not finite; try another --dtype, or look at "
            "the calibration data"
        )


def check_choice(session: Session, searcher: str, removed: Subset, model: str) -> None:
    """CheckpointError where the model that a search chose has no finite loss."""
    if not session.works(removed):
        raise CheckpointError(
            f"{model}: without blocks {words(removed)}, the choice of {searcher}, the loss is not "
            "finite, so nothing can be recommended; try a smaller --budget, another --dtype or "
            "another searcher (what was measured is kept)"
        )


def check_generates(session: Session) -> None:
    """CheckpointError where no checkpoint of the model could be proven, as the dense one is broken.

    A model that is in other processes is not asked; its checkpoint is refused when it is written.
    """
    if session.adapter is not None:
        with session.adapter.bypassing(DENSE) as dense:
            check_dense_model(dense)


class _Search:
    """One run of a searcher, with what must be known when it is interrupted."""

    def __init__(self, plan: Plan, folder: Path, progress: Progress) -> None:
        self.plan = plan
        self.folder = folder
        self.progress = progress
        self.driver: Driver | None = None
        self.account: Account | None = None
        self.measured = 0.0
        self.measured_before_request = 0.0

    def run(self, workdir: Path) -> SearchResult:
        self.progress.begin("loading the model")
        opened = open_session(self.plan, workdir, self._on_measured, self._on_written)
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
        account = self.account = Account(self.folder, session)
        driver = self.driver = self._start(session)
        driver.run(partial(self._losses, session))
        self._begin_request()
        account.keep()
        self.account = None  # what describes the choice is no part of its cost
        spent = account.total()
        assert driver.removed is not None
        searcher = self.plan.config.settings.searcher
        check_choice(session, searcher, driver.removed, self.plan.spec.model)
        work = Work(
            asked=driver.asked,
            measured=spent.measured,
            block_runs=spent.block_runs,
            block_runs_alone=len(self.plan.parts)
            * block_runs_alone(driver.requests, driver.problem.n_blocks),
            seconds=round(spent.seconds, 3),
        )
        return _result(self.plan, session, driver, work, str(self.folder))

    def _start(self, session: Session) -> Driver:
        """Measure the signals that the searcher needs, and let it begin."""
        searcher, problem = self.plan.searcher, self.plan.problem
        if needs := needs_of(searcher):
            self.progress.begin(f"measuring {', '.join(s.name for s in needs)}")
            problem = replace(problem, signals={s.name: session.signal(s) for s in needs})
        self.progress.begin("searching", "subsets", lambda: _expected(searcher, problem))
        return Driver(searcher, problem)

    def _losses(self, session: Session, request: Sequence[Subset]) -> list[float]:
        self._begin_request()
        return session.losses(request)

    def _begin_request(self) -> None:
        """Count from what is answered so far."""
        self.measured_before_request = self.measured
        self._advance()

    def _on_measured(self, subsets: float) -> None:
        self.measured = subsets
        self._advance()

    def _on_written(self) -> None:
        if self.account:
            self.account.keep()

    def _advance(self) -> None:
        if self.driver:
            ranked = self.driver.ranked()
            best = f"best {self.driver.losses[ranked[0]]:.4f}" if ranked else ""
            subsets = self.driver.asked + self.measured - self.measured_before_request
            self.progress.advance(subsets, best)

    def _farewell(self, workdir: Path) -> str:
        ranked = self.driver.ranked() if self.driver else []
        if not self.measured and not ranked:
            return "stopped before anything new was measured; run the same command again"
        best = "No subset of the wanted size was measured yet"
        if self.driver and ranked:
            loss = self.driver.losses[ranked[0]]
            best = f"Best so far: blocks {words(ranked[0])}, {loss:.4f} {self.plan.objective.unit}"
            if not math.isfinite(loss):
                best = "No subset of the wanted size has a finite loss so far"
        return (
            f"stopped. {best}. What was measured, {self.measured:.0f} subsets' worth, is saved in "
            f"{workdir / 'journals'}; run the same command again to go on"
        )


def _expected(searcher: Searcher, problem: Problem) -> float | None:
    cost = rehearse(searcher, problem, REHEARSAL_SECONDS)
    return cost.asked if cost.complete else None


def _result(plan: Plan, session: Session, driver: Driver, work: Work, folder: str) -> SearchResult:
    settings, facts, removed = plan.config.settings, session.facts, driver.removed
    assert removed is not None
    return SearchResult(
        model=plan.spec.model,
        weights=facts.fingerprint["weights"],
        searcher=settings.searcher,
        objective=settings.objective,
        unit=plan.objective.unit,
        seed=settings.seed,
        n_blocks=facts.n_blocks,
        budget=len(removed),
        removed=tuple(sorted(removed)),
        kept=tuple(i for i in range(facts.n_blocks) if i not in removed),
        dense=session.reading(DENSE),
        pruned=session.reading(removed),
        difference=session.difference(removed, DENSE),
        runner_up=_runner_up(session, driver, removed),
        parameters=facts.parameters,
        parameters_removed=sum(facts.block_parameters[i] for i in removed),
        work=work,
        versions=versions(),
        run=folder,
        begins_with=session.begins_with,
        tokenizer=tokenizer_digest(plan.checkpoint),
    )


def _runner_up(session: Session, driver: Driver, removed: Subset) -> RunnerUp | None:
    others = [s for s in driver.ranked() if s != removed]
    if not others:
        return None
    return RunnerUp(tuple(sorted(others[0])), session.difference(others[0], removed))


def _config_text(plan: Plan) -> str:
    import yaml

    return yaml.safe_dump(plan.config.as_dict(), sort_keys=False)
