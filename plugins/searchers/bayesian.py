"""Prior-guided Bayesian optimisation.

From the paper: 200 trials, of which 10 are drawn at random, and the word "prior-guided". The rest
is our reading: the prior of the genetic search, a Gaussian process over subsets around a line in
the sum of single losses, expected improvement over a pool of draws and neighbours of the best.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, Subset, hookimpl, option
from prunekit.plugins.searchers.prior import Prior
from prunekit.plugins.searchers.singles import cheapest_first, single_losses
from prunekit.plugins.searchers.surrogate import Surrogate

EXTRA_DRAWS = 200
NEIGHBOURS_OF = 5


@dataclass(frozen=True)
class Bayesian(Searcher):
    """Fit a Gaussian process to the losses; measure where expected improvement is highest.

    Requests n + `trials` subsets of n removable blocks. Starts from the one-shot choice, so it
    never ends worse, unless `include_one_shot` is off.
    """

    name: ClassVar[str] = "bayesian"
    paper: ClassVar[str] = "arXiv 2604.24938"
    trials: int = option(200, "subsets of the size of the budget to measure", low=1)
    initial: int = option(10, "trials drawn at random before the first fit", low=1)
    pool: int = option(512, "candidates scored for each choice", low=2)
    at_once: int = option(1, "candidates measured together, sharing prefixes", low=1)
    include_one_shot: bool = option(True, "count the one-shot choice among the initial trials")

    def search(self, problem: Problem) -> Search:
        """Measure, fit and choose until the trials or the subsets are used up."""
        rng = problem.rng()
        singles = yield from single_losses(problem)
        prior = Prior.from_singles(singles)
        most = min(self.trials, math.comb(len(problem.removable), problem.budget))
        losses: dict[Subset, float] = {}
        request = self._initial(rng, prior, problem, cheapest_first(singles), most)
        surrogate = Surrogate(singles, problem.budget)
        while True:
            losses.update(zip(request, (yield request), strict=True))
            count = min(self.at_once, most - len(losses))
            if count <= 0:
                return min(losses, key=lambda s: (losses[s], sorted(s)))
            candidates = self._pool(rng, prior, problem, losses)
            request = surrogate.most_promising(losses, candidates, count)

    def _initial(
        self, rng: random.Random, prior: Prior, problem: Problem, cheapest: list[int], most: int
    ) -> list[Subset]:
        """Return the one-shot choice, if it is to be included, and distinct draws of the prior."""
        first = [frozenset(cheapest[: problem.budget])] if self.include_one_shot else []
        draws = (prior.draw(rng, problem.removable, problem.budget) for _ in itertools.count())
        return [*first, *_different(draws, first, min(self.initial, most) - len(first))]

    def _pool(
        self, rng: random.Random, prior: Prior, problem: Problem, losses: Mapping[Subset, float]
    ) -> list[Subset]:
        """Return unseen subsets, about half drawn from the prior and half near the best."""
        best = heapq.nsmallest(NEIGHBOURS_OF, losses, key=lambda s: (losses[s], sorted(s)))
        draws = _draws(rng, prior, problem, best)
        return _different(draws, losses, self.pool) or [_first_unseen(problem, losses)]


def _different(draws: Iterator[Subset], known: Collection[Subset], count: int) -> list[Subset]:
    """Collect `count` new subsets, or fewer if too many draws are repeats."""
    found: dict[Subset, None] = {}
    for subset in itertools.islice(draws, count + max(count, EXTRA_DRAWS)):
        if len(found) == count:
            break
        if subset not in known:
            found[subset] = None
    return list(found)


def _draws(
    rng: random.Random, prior: Prior, problem: Problem, best: Sequence[Subset]
) -> Iterator[Subset]:
    """Draw alternately from the prior and near the best subsets."""
    for turn in itertools.count():
        if turn % 2 and problem.budget < len(problem.removable):
            yield _neighbour(rng, prior, problem, best[turn // 2 % len(best)])
        else:
            yield prior.draw(rng, problem.removable, problem.budget)


def _neighbour(rng: random.Random, prior: Prior, problem: Problem, subset: Subset) -> Subset:
    """Swap one or two blocks of a subset for draws from the prior."""
    outside = [i for i in problem.removable if i not in subset]
    swaps = min(rng.randint(1, 2), len(subset), len(outside))
    restored = rng.sample(sorted(subset), swaps)
    return subset - set(restored) | prior.draw(rng, outside, swaps)


def _first_unseen(problem: Problem, losses: Mapping[Subset, float]) -> Subset:
    """Find an unmeasured subset of a small problem that random draws keep missing."""
    subsets = map(frozenset, itertools.combinations(problem.removable, problem.budget))
    return next(s for s in subsets if s not in losses)


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Bayesian]
