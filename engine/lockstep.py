"""Run many searches side by side, so that what they ask for is measured together and once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from prunekit.core.driver import Driver
from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import WHOLE, Best, Problem, Subset, share_of
from prunekit.engine.best_so_far import BestSoFar
from prunekit.engine.cost import CostCounter

K = TypeVar("K", bound=Hashable)
Race: TypeAlias = Callable[[Best], Mapping[Subset, float]]


class LockStep(Generic[K]):
    """Searches that take each step together.

    In every round `run` measures what all of them want now, each subset once. None sees more than
    it would alone, so all choose what they would choose alone. One that breaks its contract ends
    up in `failed`, and the others go on.
    """

    def __init__(
        self, searches: Mapping[K, tuple[Searcher, Problem]], also: Sequence[Subset] = ()
    ) -> None:
        """`also` is what each would measure alone before anything else."""
        self.drivers: dict[K, Driver] = {}
        self.failed: dict[K, PrunekitError] = {}
        self.costs: dict[K, CostCounter] = {}
        """of each search alone"""
        self.best: dict[K, BestSoFar] = {}
        """of each search"""
        for key, (searcher, problem) in searches.items():
            self.costs[key] = CostCounter(problem.n_blocks)
            self.costs[key].measure(also)
            self.best[key] = BestSoFar(problem.budget)
            try:
                self.drivers[key] = Driver(searcher, problem)
            except PrunekitError as error:
                self.failed[key] = error

    @property
    def running(self) -> dict[K, Driver]:
        """The searches that have neither ended nor failed."""
        going_on = {k: d for k, d in self.drivers.items() if d.request is not None}
        return {key: driver for key, driver in going_on.items() if key not in self.failed}

    @property
    def removed(self) -> dict[K, Subset]:
        """The choices of the searches that ended."""
        return {k: d.removed for k, d in self.drivers.items() if d.removed is not None}

    def wanted(self, races: bool = False) -> dict[float, list[Subset]]:
        """Return the subsets to measure now, each once, by share of the calibration set.

        If there are `races`, without the requests for the best few.
        """
        wanted: dict[float, dict[Subset, None]] = {}
        for driver in self.running.values():
            request = driver.request or ()
            if races and isinstance(request, Best):
                continue
            wanted.setdefault(share_of(request), {}).update(dict.fromkeys(request))
        return {share: list(subsets) for share, subsets in sorted(wanted.items())}

    def run(
        self,
        evaluate: Callable[[Sequence[Subset], float], Mapping[Subset, float]],
        until: Callable[[], bool] = lambda: False,
        race: Race | None = None,
    ) -> None:
        """Answer every round with `evaluate` until all searches have ended, or `until` is true.

        It is given subsets and a share of the calibration set, and called once more when all have
        ended, with nothing wanted. A `race` answers requests for the best few in its place, and may
        leave out the losses of subsets that are not among them.
        """
        while self.running and not until():
            wanted = self.wanted(races=race is not None)
            losses = {share: evaluate(wanted[share], share) for share in wanted}
            requests = {key: driver.request for key, driver in self.running.items()}
            raced = {k: race(r) for k, r in requests.items() if race and isinstance(r, Best)}
            self._answer(losses, raced)
        if not self.running:
            evaluate([], WHOLE)

    def _answer(
        self,
        losses: Mapping[float, Mapping[Subset, float]],
        raced: Mapping[K, Mapping[Subset, float]],
    ) -> None:
        for key, driver in self.running.items():
            request = driver.request or ()
            share = share_of(request)
            found = raced[key] if key in raced else losses[share]
            dropped = {subset for subset in request if subset not in found}
            answers = [found.get(subset, math.inf) for subset in request]
            self.costs[key].add(request)
            if share == WHOLE:
                self.best[key].note(request, answers, self.costs[key].block_runs)
            try:
                driver.answer(answers, dropped)
            except PrunekitError as error:
                self.failed[key] = error

    def block_runs_alone(self) -> int:
        """Return the cost of all that ended one by one, each with its choice measured."""
        runs = 0
        for key, removed in self.removed.items():
            cost = self.costs[key]
            chosen_unseen = 0 if removed in cost.seen else cost.n_blocks - len(removed)
            runs += cost.block_runs + chosen_unseen
        return runs
