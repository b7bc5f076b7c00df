"""Run searches over one open session: that of `prunekit search`, or a group of a study."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeAlias

from prunekit.core.driver import Driver, needs_of
from prunekit.core.errors import CheckpointError, ConfigError, PluginError, PrunekitError, Remark
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import DENSE, WHOLE, Best, Problem, Subset, words
from prunekit.engine.cost import CostCounter
from prunekit.engine.lockstep import K, LockStep
from prunekit.engine.plan import Plan
from prunekit.engine.race import Race
from prunekit.engine.reading import Difference
from prunekit.engine.session import Session


@dataclass(frozen=True)
class Choice:
    """The blocks that a search chose, and what it cost by itself."""

    removed: Subset
    loss: float
    dense_loss: float
    difference: Difference
    """of these two"""
    parameters_removed: int
    cost: CostCounter
    """of this search alone, under one objective"""
    driver: Driver

    @classmethod
    def of(cls, removed: Subset, session: Session, cost: CostCounter, driver: Driver) -> Choice:
        """Measure the choice of a search, or another subset that is taken in its place."""
        loss, dense_loss = session.losses([removed, DENSE])
        return cls(
            removed=removed,
            loss=loss,
            dense_loss=dense_loss,
            difference=session.difference(removed, DENSE),
            parameters_removed=sum(session.facts.block_parameters[i] for i in removed),
            cost=cost,
            driver=driver,
        )

    @property
    def runner_up(self) -> Subset | None:
        """The best other subset of the same size that was measured."""
        return next((s for s in self.driver.ranked() if s != self.removed), None)


Outcome: TypeAlias = Choice | PrunekitError
"""A choice, or the error of a search that has none."""


class SearchRun(Generic[K]):
    """Searches in lock-step, and how far they are.

    It is made before the session, which is opened with its `on_measured`. Neither it nor its
    outcomes may keep a session alive, and with it a model.
    """

    def __init__(
        self,
        on_progress: Callable[[SearchRun[K]], None],
        name_of: Callable[[K], str] = str,
        race: Race | None = None,
    ) -> None:
        """`name_of` gives the name of a searcher in messages; `race` answers for the best few."""
        self.lockstep: LockStep[K] = LockStep({})
        self.known: set[Subset] = set()
        """subsets whose losses were returned"""
        self.measured = 0.0
        """subsets measured since the session was opened, parts of subsets included"""
        self._new = 0
        self._choices: set[Subset] = set()
        """measured to describe them, and not asked for"""
        self._before = 0.0
        self._ended = False
        self._on_progress = on_progress
        self._name_of = name_of
        self._race = race

    def on_measured(self, subsets: float) -> None:
        """Note how many subsets were measured so far."""
        self.measured = subsets
        if not self._ended:  # what describes the choices is measured in the same session
            self._on_progress(self)

    @property
    def measured_now(self) -> float:
        """Subsets of the current request that are measured, parts of subsets included."""
        return min(max(0.0, self.measured - self._before), self._new)

    def losses(
        self, session: Session, subsets: Sequence[Subset], share: float = WHOLE
    ) -> dict[Subset, float]:
        """Measure subsets on a share of the samples, counting them as progress."""
        self._before = self.measured
        self._on_progress(self)
        self._new = len(set(subsets) - self._choices - self.known)
        losses = dict(zip(subsets, session.losses(subsets, share), strict=True))
        if share == WHOLE:
            self.known |= losses.keys()
        self._new = 0
        return losses

    def _raced(self, session: Session, race: Race, request: Best) -> dict[Subset, float]:
        """Return the losses that a race left over, counting what it measured as progress."""
        self._before = self.measured
        self._on_progress(self)
        self._new = len(set(request) - self.known)
        losses = race.losses(session, request)
        self.known |= losses.keys()
        self._new = 0
        return losses

    def start(self, session: Session, plans: Mapping[K, Plan]) -> None:
        """Measure the signals that the searchers need, and let all make their first request.

        A search whose signals cannot be measured fails; the others go on.
        """
        self._on_progress(self)
        ready: dict[K, tuple[Searcher, Problem]] = {}
        failed: dict[K, PrunekitError] = {}
        for key, plan in plans.items():
            try:
                signals = {s.name: session.signal(s) for s in needs_of(plan.searcher)}
            except (ConfigError, PluginError) as error:
                failed[key] = error.with_traceback(None)  # its frames hold this dictionary
            else:
                ready[key] = plan.searcher, replace(plan.problem, signals=signals)
        first = next(iter(plans.values()))
        self.lockstep = LockStep(ready, first.measured_first)
        self.lockstep.failed |= failed

    def finish(
        self,
        session: Session,
        plans: Mapping[K, Plan],
        on_end: Callable[[K], None] = lambda key: None,
        on_outcome: Callable[[K, Outcome], None] = lambda key, outcome: None,
    ) -> dict[K, Outcome]:
        """Run all searches that were started to their end; return what came of each.

        A choice is measured together with the next request of the others, as a searcher may choose
        what it never measured. `on_end` is called with each search that chose before that, and
        `on_outcome` as soon as it is known what came of a search.
        """
        outcomes: dict[K, Outcome] = {}

        def evaluate(wanted: Sequence[Subset], share: float) -> dict[Subset, float]:
            if share < WHOLE:
                return self.losses(session, wanted, share)
            chosen = {k: s for k, s in self.lockstep.removed.items() if k not in outcomes}
            for key in chosen:
                on_end(key)
            self._choices = set(chosen.values()) - set(wanted)
            losses = self.losses(session, list(dict.fromkeys([*wanted, *chosen.values()])))
            ended = {key: self._outcome(session, key, plans[key]) for key in chosen}
            for key, outcome in (self.lockstep.failed | ended).items():
                if key not in outcomes:
                    outcomes[key] = outcome
                    on_outcome(key, outcome)
            return losses

        race = partial(self._raced, session, self._race) if self._race else None
        try:
            self.lockstep.run(evaluate, race=race)
        finally:
            self.lockstep.failed.clear()  # the frames of an error hold the session
        self._on_progress(self)
        self._ended = True
        return outcomes

    def _outcome(self, session: Session, key: K, plan: Plan) -> Outcome:
        driver = self.lockstep.drivers[key]
        removed = driver.removed
        assert removed is not None
        try:
            check_choice(session, self._name_of(key), removed, plan.spec.model)
        except CheckpointError as error:
            return error
        remark_on_bounds(session, self._name_of(key), removed)
        return Choice.of(removed, session, self.lockstep.costs[key], driver)


def check_dense(session: Session, model: str) -> None:
    """Raise CheckpointError if a model is broken before any block is removed."""
    if not session.works(DENSE):
        raise CheckpointError(
            f"{model}: the loss of the dense model is not finite; try another --dtype, or look at "
            "the calibration data"
        )


def check_choice(session: Session, searcher: str, removed: Subset, model: str) -> None:
    """Raise CheckpointError if the model that a search chose has no finite loss."""
    if not session.works(removed):
        raise CheckpointError(
            f"{model}: without blocks {words(removed)}, the choice of {searcher}, the loss is not "
            "finite, so nothing can be recommended; try a smaller --budget, another --dtype or "
            "another searcher (what was measured is kept)"
        )


def remark_on_bounds(session: Session, searcher: str, removed: Subset) -> None:
    """Warn with a Remark for each bound that a choice breaks."""
    for complaint in session.broken_bounds(removed):
        line = (
            f"without blocks {words(removed)}, the choice of {searcher}, {complaint}; lower "
            "--budget, raise the bound, or try another searcher"
        )
        warnings.warn(line, Remark, stacklevel=2)
