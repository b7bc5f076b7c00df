"""Prior-guided genetic search.

From the study: a population of 16, a share of 0.2 kept, mutation 0.15, 10 generations, and the word
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
FRUITLESS_DRAWS = 200


@dataclass(frozen=True)
class Genetic(Searcher):
    """Cross and mutate subsets, keeping the best of each generation.

    Asks for n + population x (generations + 1) subsets of n removable blocks, those kept from one
    generation to the next included. Never ends worse than one-shot.
    """

    name: ClassVar[str] = "genetic"
    paper: ClassVar[str] = "arXiv 2604.24938"
    population: int = option(16, "subsets a generation", low=2)
    elite: float = option(0.2, "share of a generation that is kept as it is", low=0, high=1)
    mutation: float = option(0.15, "chance that a removed block is swapped", low=0, high=1)
    generations: int = option(10, "rounds after the first", low=0)

    def search(self, problem: Problem) -> Search:
        """Breed for `generations` rounds, or until every subset was tried."""
        rng = problem.rng()
        singles = yield from single_losses(problem)
        prior = Prior.from_singles(singles)
        possible = math.comb(len(problem.removable), problem.budget)
        losses: dict[Subset, float] = {}
        people = self._first(rng, prior, problem, cheapest_first(singles))
        for _ in range(self.generations + 1):
            losses.update(zip(people, (yield people), strict=True))
            if len(losses) == possible:
                break
            people = self._next(rng, prior, problem, _ranked(people, losses), losses)
        return _ranked(list(losses), losses)[0]

    def _first(
        self, rng: random.Random, prior: Prior, problem: Problem, cheapest: list[int]
    ) -> list[Subset]:
        people = [frozenset(cheapest[: problem.budget])]
        while len(people) < self.population:
            draws = (prior.draw(rng, problem.removable, problem.budget) for _ in _tries())
            people.append(_unseen(draws, set(people)))
        return people

    def _next(
        self,
        rng: random.Random,
        prior: Prior,
        problem: Problem,
        ranked: list[Subset],
        losses: dict[Subset, float],
    ) -> list[Subset]:
        people = ranked[: max(1, round(self.elite * self.population))]
        while len(people) < self.population:
            children = (self._child(rng, prior, problem, ranked) for _ in _tries())
            people.append(_unseen(children, losses.keys() | set(people)))
        return people

    def _child(
        self, rng: random.Random, prior: Prior, problem: Problem, ranked: list[Subset]
    ) -> Subset:
        mother, father = (_tournament(rng, ranked) for _ in range(2))
        both = mother & father
        child = set(both | prior.draw(rng, mother ^ father, problem.budget - len(both)))
        for block in sorted(child):
            others = [i for i in problem.removable if i not in child]
            if others and rng.random() < self.mutation:
                child.remove(block)
                child |= prior.draw(rng, others, 1)
        return frozenset(child)


def _tournament(rng: random.Random, ranked: list[Subset]) -> Subset:
    """The best of a few chosen at random."""
    return ranked[min(rng.randrange(len(ranked)) for _ in range(TOURNAMENT))]


def _tries() -> range:
    return range(FRUITLESS_DRAWS)


def _unseen(draws: Iterator[Subset], seen: set[Subset]) -> Subset:
    """The first draw that is new; after many fruitless ones a repeat will do."""
    for draw in draws:
        if draw not in seen:
            break
    return draw


def _ranked(people: list[Subset], losses: dict[Subset, float]) -> list[Subset]:
    return sorted(people, key=lambda s: (losses[s], sorted(s)))


@hookimpl
def prunekit_searchers() -> list[type]:
    return [Genetic]
