"""Where a refinement starts: at the choice of another searcher, by its name.

    known = Known()
    here = yield from started(self.start, problem, known)

The refinement needs the signals of that searcher: `needs` is `searcher_of(self.start).needs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from prunekit.core import Problem, Search, Searcher
from prunekit.plugins.searchers.angular import Angular
from prunekit.plugins.searchers.bayesian import Bayesian
from prunekit.plugins.searchers.beam import Beam
from prunekit.plugins.searchers.block_influence import BlockInfluence
from prunekit.plugins.searchers.cbo import ConstrainedBinary
from prunekit.plugins.searchers.fast_block_select import FastBlockSelect
from prunekit.plugins.searchers.genetic import Genetic
from prunekit.plugins.searchers.greedy import Greedy
from prunekit.plugins.searchers.known import Known
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.random_subsets import RandomSubsets
from prunekit.plugins.searchers.relative_magnitude import RelativeMagnitude
from prunekit.plugins.searchers.taylor import Taylor

__all__ = ["Start", "searcher_of", "started"]

Start: TypeAlias = Literal[
    "one-shot",
    "greedy",
    "beam",
    "genetic",
    "bayesian",
    "cbo",
    "fast-block-select",
    "angular",
    "block-influence",
    "relative-magnitude",
    "taylor",
    "random",
]
"""The type of the option: built-in searchers with their default options, and one random subset."""
SEARCHERS: Mapping[Start, Callable[[], Searcher]] = {
    "one-shot": OneShot,
    "greedy": Greedy,
    "beam": Beam,
    "genetic": Genetic,
    "bayesian": Bayesian,
    "cbo": ConstrainedBinary,
    "fast-block-select": FastBlockSelect,
    "angular": Angular,
    "block-influence": BlockInfluence,
    "relative-magnitude": RelativeMagnitude,
    "taylor": Taylor,
    "random": lambda: RandomSubsets(trials=1),
}


def searcher_of(start: Start) -> Searcher:
    """Return the searcher of that name."""
    return SEARCHERS[start]()


def started(start: Start, problem: Problem, known: Known) -> Search:
    """Return the best subset that the searcher of that name comes across, with its loss in `known`.

    Every loss on the way is kept in `known`.
    """
    choice = yield from known.follow(searcher_of(start).search(problem))
    yield from known.ask([choice])
    return known.best(problem.budget)
