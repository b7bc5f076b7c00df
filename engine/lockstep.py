"""Run many searches side by side, so that what they ask for is measured together and once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from prunekit.core.driver import Driver
from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Searcher
from prunekit.core.problem import DENSE, Problem, Subset, single_removals
from prunekit.engine.cost import CostCounter

K = TypeVar("K", bound=Hashable)


def importance_cost(n_blocks: int) -> CostCounter:
    """What is measured of every group, whatever is asked for: dense, and every single removal."""
    counter = CostCounter(n_blocks)
    counter.measure([DENSE])
    counter.measure(single_removals(n_blocks))
    return counter


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
        self.running: dict[K, Driver] = {}
        self.removed: dict[K, Subset] = {}
        """the choices of those that ended"""
        self.failed: dict[K, str] = {}
        self.costs: dict[K, CostCounter] = {}
        """what each would cost alone"""
        for key, (searcher, problem) in searches.items():
            self.costs[key] = CostCounter(problem.n_blocks)
            self.costs[key].measure(also)
            try:
                self.running[key] = Driver(searcher, problem)
            except PrunekitError as error:
                self.failed[key] = str(error)
        self._settle()

    def wanted(self) -> list[Subset]:
        """What is to be measured now, each subset once; nothing where all have ended."""
        requests = [driver.request or () for driver in self.running.values()]
        return list(dict.fromkeys(subset for request in requests for subset in request))

    def run(
        self,
        evaluate: Callable[[Sequence[Subset]], Mapping[Subset, float]],
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Answer every round with `evaluate` until all searches have ended, or `until` is true.

        It is called once more when all have ended, with nothing wanted.
        """
        while self.running and not until():
            self._answer(evaluate(self.wanted()))
        if not self.running:
            evaluate([])

    def _answer(self, losses: Mapping[Subset, float]) -> None:
        for key, driver in list(self.running.items()):
            request = driver.request or ()
            self.costs[key].add(request)
            try:
                driver.answer([losses[subset] for subset in request])
            except PrunekitError as error:
                self.failed[key] = str(error)
        self._settle()

    def block_runs_alone(self) -> int:
        """What all that ended would take one by one, each with its choice measured."""
        runs = 0
        for key, removed in self.removed.items():
            counter = self.costs[key]
            chosen_unseen = 0 if removed in counter.seen else counter.n_blocks - len(removed)
            runs += counter.block_runs + chosen_unseen
        return runs

    def _settle(self) -> None:
        """Take those that ended or failed out of the running ones."""
        ended = [k for k, d in self.running.items() if d.request is None or k in self.failed]
        for key in ended:
            driver = self.running.pop(key)
            if key not in self.failed and driver.removed is not None:
                self.removed[key] = driver.removed
