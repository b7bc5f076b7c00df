"""Bayesian optimisation."""

import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.bayesian import Bayesian
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.prior import Prior
from prunekit.plugins.searchers.surrogate import Surrogate


def loss(subset):
    pairs = sum(((3 * i + 5 * j) % 7) / 7 for i in subset for j in subset if i < j)
    return sum(((5 * i) % 11) / 11 for i in subset) + 0.3 * pairs


def run(searcher, problem, loss=loss):
    asked = []

    def evaluate(subsets):
        asked.append(list(subsets))
        return [loss(s) for s in subsets]

    return Driver(searcher, problem).run(evaluate).removed, asked


@pytest.mark.parametrize("seed", range(3))
def test_it_never_ends_worse_than_one_shot(seed):
    problem = Problem(16, 5, seed=seed)
    assert loss(run(Bayesian(trials=40), problem)[0]) <= loss(run(OneShot(), problem)[0])


def test_the_first_trials_are_the_one_shot_choice_and_draws():
    _, (singles, first, *rest) = run(Bayesian(trials=30), Problem(16, 5))
    assert len(singles) == 16
    assert first[0] == run(OneShot(), Problem(16, 5))[0]
    assert len(set(first)) == 10
    assert [len(request) for request in rest] == [1] * 20


def test_without_the_one_shot_choice_the_first_trials_are_drawn_from_the_prior():
    problem = Problem(16, 5)
    _, (singles, first, *rest) = run(Bayesian(trials=12, include_one_shot=False), problem)
    prior = Prior.from_singles(dict(enumerate(map(loss, singles))))
    rng = problem.rng()
    drawn = dict.fromkeys(prior.draw(rng, range(16), 5) for _ in range(100))
    assert first == list(drawn)[:10]
    assert len(rest) == 2


def test_without_the_one_shot_choice_the_only_subset_is_still_found():
    problem = Problem(4, 3, protected=frozenset({1}))
    removed, asked = run(Bayesian(include_one_shot=False), problem)
    assert removed == {0, 2, 3}
    assert len(asked) == 2


def test_the_first_trials_are_as_many_as_asked_for():
    _, (_, first, *rest) = run(Bayesian(trials=400, initial=350), Problem(16, 5))
    assert len(set(first)) == 350
    assert len(rest) == 50


def test_the_model_chooses_among_as_many_unseen_subsets_as_asked_for(monkeypatch):
    pools = []
    most_promising = Surrogate.most_promising

    def noting(self, losses, candidates, count):
        pools.append((set(losses), candidates))
        return most_promising(self, losses, candidates, count)

    monkeypatch.setattr(Surrogate, "most_promising", noting)
    run(Bayesian(trials=14, pool=600), Problem(32, 7))
    assert len(pools) == 4
    for seen, candidates in pools:
        assert len(candidates) == len(set(candidates) - seen) == 600


def test_no_subset_is_tried_twice():
    _, (_, *trials) = run(Bayesian(trials=60), Problem(16, 5))
    subsets = [s for request in trials for s in request]
    assert len(set(subsets)) == len(subsets) == 60


def test_it_ends_when_every_subset_was_tried():
    _, (_, *trials) = run(Bayesian(), Problem(6, 3))
    assert len({s for request in trials for s in request}) == 20


def test_trials_may_be_measured_together():
    _, (_, first, *rest) = run(Bayesian(trials=30, at_once=8), Problem(16, 5))
    assert [len(request) for request in (first, *rest)] == [10, 8, 8, 4]


def test_it_beats_as_many_random_draws():
    rng = random.Random(0)
    problem = Problem(24, 7)
    draws = [frozenset(rng.sample(range(24), 7)) for _ in range(84)]
    assert loss(run(Bayesian(trials=60), problem)[0]) < min(map(loss, draws))


def test_the_surrogate_learns_which_block_is_dear():
    singles = dict.fromkeys(range(8), 1.0)
    seen = {}
    rng = random.Random(1)
    while len(seen) < 25:
        subset = frozenset(rng.sample(range(8), 3))
        seen[subset] = 1.0 if 0 in subset else 0.1 * sum(subset) / 21
    candidates = [
        frozenset(c)
        for c in ({0, 1, 2}, {0, 6, 7}, {1, 2, 3}, {1, 2, 4})
        if frozenset(c) not in seen
    ]
    best = Surrogate(singles, 3).most_promising(seen, [*candidates, frozenset({0, 5, 6})], 1)
    assert 0 not in best[0] or all(0 in c for c in candidates)
