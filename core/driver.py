"""Drive a searcher: hand over the losses it asks for, and check what it asks and chooses.

No state is saved. A killed search is run again with the same seed, and the journal answers at once
for everything measured before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence

from prunekit.core.contracts import complete
from prunekit.core.errors import PluginError, blaming, described
from prunekit.core.interfaces import Search, Searcher, Signal
from prunekit.core.problem import WHOLE, Problem, Subset, share_of, words


def check_problem(searcher: Searcher, problem: Problem) -> None:
    """Raise ConfigError if the searcher refuses the problem."""
    complete(type(searcher), Searcher)
    with blaming("searcher", searcher):
        searcher.check_problem(problem)


def needs_of(searcher: Searcher) -> tuple[Signal, ...]:
    """Return the signals that a searcher needs; raise PluginError if `needs` is malformed."""
    complete(type(searcher), Searcher)
    with blaming("searcher", searcher):
        needs = searcher.needs
        if not isinstance(needs, tuple) or not all(isinstance(x, Signal) for x in needs):
            raise TypeError(
                f"`needs` must be a tuple of Signal objects, not {needs!r}; those that come with "
                "prunekit are in prunekit.plugins.searchers.signals"
            )
    return needs


PATIENCE = 10_000
"""Requests in a row for known subsets alone after which a searcher counts as endless."""


class Driver:
    """One search in progress.

    `request` is what the searcher wants measured now, None once `removed` is chosen; `requests` is
    everything answered so far. `best` is the first of `ranked`, None if there is none yet.
    """

    def __init__(self, searcher: Searcher, problem: Problem) -> None:
        self.searcher = searcher
        self.problem = problem
        self.requests: list[Subset] = []
        self.rounds = 0
        self.losses: dict[Subset, float] = {}
        """on the whole calibration set"""
        self.best: Subset | None = None
        self._removable = frozenset(problem.removable)
        self._known: set[tuple[float, Subset]] = set()
        self.removed: Subset | None = None
        self.request: Sequence[Subset] | None = None
        self._without_news = 0
        self._steps = self._start()
        self._advance(None)

    @property
    def asked(self) -> int:
        """Subsets answered so far, repeats included."""
        return len(self.requests)

    def answer(self, losses: list[float], dropped: Collection[Subset] = ()) -> None:
        """Give the losses of the current request, in its order.

        The losses of subsets that were `dropped` from a race say nothing but that others are lower.
        """
        assert self.request is not None
        self._check_progress(self.request)
        self.requests += self.request
        self.rounds += 1
        if share_of(self.request) == WHOLE:
            answers = zip(self.request, losses, strict=True)
            news = {subset: loss for subset, loss in answers if subset not in dropped}
            self.losses.update(news)
            rivals = news if self.best is None else [self.best, *news]
            self.best = min(self._complete(rivals), key=self._place, default=None)
        self._advance(losses)

    def run(
        self,
        evaluate: Callable[[Sequence[Subset]], list[float]],
        until: Callable[[], bool] = lambda: False,
    ) -> Driver:
        """Answer requests with `evaluate` to the end, or `until` is true; return this driver."""
        while self.request is not None and not until():
            self.answer(evaluate(self.request))
        return self

    def ranked(self) -> list[Subset]:
        """Return the subsets of the budget's size measured so far, best first."""
        return sorted(self._complete(self.losses), key=self._place)

    def best_smaller(self) -> list[Subset]:
        """Return the best measured subset of each size below the budget, in order of their sizes.

        Only sizes of which one has a finite loss are there, and never the dense model.
        """
        budget, best = self.problem.budget, dict[int, Subset]()
        for subset in sorted(self.losses, key=self._place):
            if 0 < len(subset) < budget and math.isfinite(self.losses[subset]):
                best.setdefault(len(subset), subset)
        return [best[size] for size in sorted(best)]

    def _complete(self, subsets: Iterable[Subset]) -> Iterator[Subset]:
        """Yield those of the budget's size."""
        return (subset for subset in subsets if len(subset) == self.problem.budget)

    def _place(self, subset: Subset) -> tuple[float, list[int]]:
        """Return what ranks a subset: its loss, then its blocks."""
        return self.losses[subset], sorted(subset)

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
        if not isinstance(request, Sequence) or not request:
            raise self._broke(f"must yield a list of at least one subset, not {request!r}")
        for subset in request:
            self._check(subset)
        self.request = request

    def _check_progress(self, request: Sequence[Subset]) -> None:
        asked = {(share_of(request), subset) for subset in request}
        self._without_news = self._without_news + 1 if asked <= self._known else 0
        self._known |= asked
        if self._without_news > PATIENCE:
            raise self._broke(f"asked for nothing but known subsets {PATIENCE:,} times in a row")

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
        if wrong := subset - self._removable:
            raise self._broke(f"may not remove blocks {words(wrong)}")
        return subset

    def _broke(self, how: str) -> PluginError:
        return PluginError(f"{described('searcher', self.searcher)} {how}")
