"""Drive a searcher: hand over what it yields, check what it returns.

Nothing here is saved. A killed search is run again with the same seed, and the journal answers at
once for everything that was measured before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prunekit.core.blame import blaming, described
from prunekit.core.errors import PluginError
from prunekit.core.interfaces import Search, Searcher
from prunekit.core.problem import Problem, Subset, words

Evaluate: TypeAlias = Callable[[Sequence[Subset]], list[float]]
"""Losses of many subsets at once, in the order asked."""


@dataclass(frozen=True)
class Choice:
    """What a searcher chose, and how many subsets it asked for, repeats included."""

    removed: Subset
    asked: int


def check_problem(searcher: Searcher, problem: Problem) -> None:
    """ConfigError where the searcher says that the problem is none for it."""
    if hasattr(searcher, "check_problem"):
        with blaming("searcher", searcher):
            searcher.check_problem(problem)


class Driver:
    """One search in progress.

    `request` is what it wants measured now, None once `removed` is chosen; `requests` is all that
    was answered.
    """

    def __init__(self, searcher: Searcher, problem: Problem) -> None:
        self.searcher = searcher
        self.problem = problem
        self.requests: list[Subset] = []
        self.losses: dict[Subset, float] = {}
        self.removed: Subset | None = None
        self.request: Sequence[Subset] | None = None
        self._steps = self._start()
        self._advance(None)

    @property
    def asked(self) -> int:
        """Subsets answered so far, repeats included."""
        return len(self.requests)

    def answer(self, losses: list[float]) -> None:
        """Give the losses of the current request, in its order."""
        assert self.request is not None
        self.requests += self.request
        self.losses.update(zip(self.request, losses, strict=True))
        self._advance(losses)

    def ranked(self) -> list[Subset]:
        """The subsets of the wanted size measured so far, best first."""
        complete = [s for s in self.losses if len(s) == self.problem.budget]
        return sorted(complete, key=lambda s: (self.losses[s], sorted(s)))

    def _start(self) -> Search:
        check_problem(self.searcher, self.problem)
        with blaming("searcher", self.searcher):
            steps = self.searcher.search(self.problem)
        if not isinstance(steps, Generator):
            raise self._broke(f"`search` must be a generator, not return {steps!r}")
        return steps

    def _advance(self, losses: list[float] | None) -> None:
        try:
            with blaming("searcher", self.searcher):
                request = next(self._steps) if losses is None else self._steps.send(losses)
        except StopIteration as stop:
            self.request, self.removed = None, self._checked_choice(stop.value)
            return
        self.request = self._checked_request(request)

    def _checked_request(self, request: object) -> Sequence[Subset]:
        if not isinstance(request, Sequence) or not request:
            raise self._broke(f"must yield a list of at least one subset, not {request!r}")
        for subset in request:
            self._check(subset)
        return request

    def _checked_choice(self, removed: object) -> Subset:
        subset = self._check(removed)
        if (found := len(subset)) != self.problem.budget:
            raise self._broke(
                f"returned {words(subset)} ({found} {'block' if found == 1 else 'blocks'}), "
                f"but the budget is {self.problem.budget}"
            )
        return subset

    def _check(self, subset: object) -> Subset:
        if not isinstance(subset, frozenset) or not all(type(i) is int for i in subset):
            raise self._broke(f"must give subsets as frozensets of int, not {subset!r}")
        if wrong := subset - set(self.problem.removable):
            raise self._broke(f"may not remove blocks {words(wrong)}")
        return subset

    def _broke(self, how: str) -> PluginError:
        return PluginError(f"{described('searcher', self.searcher)} {how}")


def drive(searcher: Searcher, problem: Problem, evaluate: Evaluate) -> Choice:
    """Run `searcher` to its end. PluginError says how it broke its contract."""
    driver = Driver(searcher, problem)
    while driver.request is not None:
        driver.answer(evaluate(driver.request))
    assert driver.removed is not None
    return Choice(driver.removed, driver.asked)
