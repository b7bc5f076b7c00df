"""Prior-guided genetic search.

From the paper: a population of 16, a share of 0.2 kept, mutation 0.15, 10 generations, and the word
"prior-guided". Our reading: the prior, tournaments of three, a crossover that keeps what both
parents remove, mutation for each removed block, and the one-shot choice in the first generation.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from prunekit.core import Problem, Search, Searcher, Subset, hookimpl, option
from prunekit.plugins.searchers.prior import Prior
from prunekit.plugins.searchers.singles import cheapest_first, single_losses

TOURNAMENT = 3
MAX_DRAWS = 200


@dataclass(frozen=True)
class Genetic(Searcher):
    """Cross and mutate subsets, keeping the best of each generation.

    Requests n + population x (generations + 1) subsets of n removable blocks, including survivors
    of earlier generations. Never ends worse than one-shot, whose choice is in the first generation,
    unless `include_one_shot` is off.
    """

    name: ClassVar[str] = "genetic"
    paper: ClassVar[str] = "arXiv 2604.24938"
    population: int = option(16, "subsets per generation", low=2)
    elite: float = option(0.2, "share of a generation that survives unchanged", low=0, high=1)
    mutation: float = option(0.15, "probability of swapping each removed block", low=0, high=1)
    generations: int = option(10, "generations after the first", low=0)
    include_one_shot: bool = option(True, "put the one-shot choice into the first generation")

    def search(self, problem: Problem) -> Search:
        """Breed for `generations` rounds, or until every subset has been tried."""
        rng = problem.rng()
        singles = yield from single_losses(problem)
        prior = Prior.from_singles(singles)
        possible = math.comb(len(problem.removable), problem.budget)
        losses: dict[Subset, float] = {}
        population = self._first(rng, prior, problem, cheapest_first(singles))
        for _ in range(self.generations + 1):
            losses.update(zip(population, (yield population), strict=True))
            if len(losses) == possible:
                break
            ranked = _ranked(population, losses)
            population = self._next(rng, prior, problem, ranked, losses)
        return _ranked(list(losses), losses)[0]

    def _first(
        self, rng: random.Random, prior: Prior, problem: Problem, cheapest: list[int]
    ) -> list[Subset]:
        population = [frozenset(cheapest[: problem.budget])] if self.include_one_shot else []
        while len(population) < self.population:
            draws = (prior.draw(rng, problem.removable, problem.budget) for _ in range(MAX_DRAWS))
            population.append(_unseen(draws, set(population)))
        return population

    def _next(
        self,
        rng: random.Random,
        prior: Prior,
        problem: Problem,
        ranked: list[Subset],
        losses: dict[Subset, float],
    ) -> list[Subset]:
        population = ranked[: max(1, round(self.elite * self.population))]
        while len(population) < self.population:
            children = (self._child(rng, prior, problem, ranked) for _ in range(MAX_DRAWS))
            population.append(_unseen(children, losses.keys() | set(population)))
        return population

    def _child(
        self, rng: random.Random, prior: Prior, problem: Problem, ranked: list[Subset]
    ) -> Subset:
        one, other = (_tournament(rng, ranked) for _ in range(2))
        both = one & other
        child = set(both | prior.draw(rng, one ^ other, problem.budget - len(both)))
        for block in sorted(child):
            others = [i for i in problem.removable if i not in child]
            if others and rng.random() < self.mutation:
                child.remove(block)
                child |= prior.draw(rng, others, 1)
        return frozenset(child)


def _tournament(rng: random.Random, ranked: list[Subset]) -> Subset:
    """Return the best of a few subsets chosen at random."""
    return ranked[min(rng.randrange(len(ranked)) for _ in range(TOURNAMENT))]


def _unseen(draws: Iterator[Subset], seen: set[Subset]) -> Subset:
    """Return the first new draw, or the last one if all are repeats."""
    for draw in draws:
        if draw not in seen:
            break
    return draw


def _ranked(subsets: list[Subset], losses: dict[Subset, float]) -> list[Subset]:
    return sorted(subsets, key=lambda s: (losses[s], sorted(s)))


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Genetic]
