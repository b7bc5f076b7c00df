"""Both searchers keep the contract and find good subsets."""

import pytest
from prunekit_optuna import CovarianceAdaptation, ParzenEstimator

from prunekit.core import Problem
from prunekit.core.testing import check_searcher, toy_loss

both = pytest.mark.parametrize("cls", [ParzenEstimator, CovarianceAdaptation])


def run(searcher, problem, loss=toy_loss):
    """Return the choice, and the requests with their losses in order."""
    steps, measured = searcher.search(problem), []
    try:
        request = next(steps)
        while True:
            losses = [loss(subset) for subset in request]
            measured.append(list(zip(request, losses, strict=True)))
            request = steps.send(losses)
    except StopIteration as stop:
        return stop.value, measured


@both
def test_the_contract_of_a_searcher_is_kept(cls):
    check_searcher(cls(trials=13))


@both
def test_the_one_shot_choice_comes_first_and_nothing_worse_is_returned(cls):
    chosen, (singles, first, *_) = run(cls(trials=5), Problem(12, 4))
    cheapest = sorted(range(12), key=lambda i: singles[i][1])[:4]
    assert first[0][0] == frozenset(cheapest)
    assert toy_loss(chosen) <= toy_loss(first[0][0])


@both
def test_so_many_trials_are_measured_some_at_a_time(cls):
    _, (_, *requests) = run(cls(trials=10, at_once=4), Problem(12, 4))
    assert [len(request) for request in requests] == [4, 4, 2]


@both
def test_another_seed_gives_other_trials(cls):
    asked = [run(cls(trials=12), Problem(12, 4, seed=seed))[1] for seed in (1, 1, 2)]
    assert asked[0] == asked[1] != asked[2]


@both
def test_a_better_subset_than_one_shot_is_found(cls):
    chosen, (_, first, *_) = run(cls(), Problem(12, 4))
    one_shot = first[0][0]
    assert one_shot == {8, 9, 10, 11}  # cheap alone, dear together
    assert toy_loss(chosen) < toy_loss(one_shot)
