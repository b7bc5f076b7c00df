"""What another draw would choose is estimated from parts of this one, without running a model."""

import itertools
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.engine.stability import stability
from prunekit.plugins.searchers.beam import Beam
from prunekit.plugins.searchers.genetic import Genetic
from prunekit.plugins.searchers.greedy import Greedy
from prunekit.plugins.searchers.one_shot import OneShot

N, BUDGET = 12, 4
PRICES = [0.05 * (i % 6) for i in range(N)]
"""Two blocks cost nothing, two a little more, and so on."""


class Drawn:
    """Losses on a calibration draw: prices of blocks and pairs, each with noise in each sample."""

    def __init__(self, seed, n_samples=16, noise=0.2):
        rng = random.Random(seed)
        self.n_samples = n_samples
        self.prices = [[rng.gauss(p, noise) for p in PRICES] for _ in range(n_samples)]

    def of(self, sample, subset):
        pairs = sum(0.1 for i in subset if i + 1 in subset)
        return 3 + pairs + sum(self.prices[sample][i] for i in sorted(subset))

    def losses(self, subsets, samples=None):
        rows = range(self.n_samples) if samples is None else samples
        return [sum(self.of(row, s) for row in rows) / len(rows) for s in subsets]

    def losses_of_split(self, subsets, parts, seed):
        order = random.Random(seed).sample(range(self.n_samples), self.n_samples)
        size = self.n_samples // parts
        rows = [order[i * size : (i + 1) * size] for i in range(parts)]
        return list(zip(*(self.losses(subsets, of_part) for of_part in rows), strict=True))


def search(searcher, session):
    return Driver(searcher, Problem(N, BUDGET)).run(session.losses)


@pytest.mark.parametrize("noise", [0.1, 0.4])
@pytest.mark.parametrize(
    "searcher", [OneShot(), Greedy(), Beam(width=2), Genetic(population=8, generations=2)]
)
def test_predicted_and_observed_agreement(searcher, noise):
    """Over 55 pairs of independent draws, they are the same to 0.1 on average."""
    draws = [Drawn(seed, noise=noise) for seed in range(11)]
    drivers = [search(searcher, draw) for draw in draws]
    pairs = list(itertools.combinations([driver.removed for driver in drivers], 2))
    observed = sum(len(a & b) / BUDGET for a, b in pairs) / len(pairs)
    found = [stability(d, s).agreement for d, s in zip(drivers, draws, strict=True)]
    assert sum(found) / len(found) == pytest.approx(observed, abs=0.1)


def test_without_noise_every_draw_chooses_the_same():
    session = Drawn(0, noise=0.0)
    found = stability(search(Greedy(), session), session)
    assert (found.agreement, found.times) == (1.0, None)


def test_of_an_unstable_choice_it_says_how_many_samples_are_wanted():
    session = Drawn(3, noise=0.3)
    found = stability(search(OneShot(), session), session)
    assert found.agreement < 0.8
    assert found.times in {2, 4, 8, 16, 32, 64}


def test_of_a_search_of_many_requests_the_best_measured_subset_is_taken():
    """Repeating it could take minutes; it asks for one subset after the other."""

    class Endurance:
        name = "endurance"
        runs = 0

        def search(self, problem):
            Endurance.runs += 1
            subsets = [frozenset(random.Random(i).sample(range(N), BUDGET)) for i in range(150)]
            losses = []
            for subset in subsets:
                losses += yield [subset]
            return subsets[losses.index(min(losses))]

    session = Drawn(0, noise=0.0)
    found = stability(search(Endurance(), session), session)
    assert (found.agreement, Endurance.runs) == (1.0, 1)


@pytest.mark.parametrize(("rounds", "repeats"), [(4, 40), (40, 10), (80, 5)])
def test_a_search_is_repeated_the_less_the_more_often_it_asks(rounds, repeats):
    """A searcher may think long before each request, as one that fits a model does."""

    class Patient:
        """Ask for one block after the other, again and again."""

        name = "patient"

        def search(self, problem):
            losses = []
            for i in range(rounds):
                at = i % (N - BUDGET)
                losses += yield [frozenset(range(at, at + BUDGET))]
            return frozenset(range(BUDGET))

    session = Drawn(0)
    assert stability(search(Patient(), session), session).repeats == repeats


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_below_four_samples_nothing_is_known(n_samples):
    session = Drawn(0, n_samples)
    assert stability(search(Greedy(), session), session) is None


def test_a_choice_that_rests_on_no_losses_has_no_stability():
    class Fixed:
        """Ask for nothing."""

        name = "fixed"

        def search(self, problem):
            yield from ()
            return frozenset(range(BUDGET))

    session = Drawn(0)
    assert stability(search(Fixed(), session), session) is None
