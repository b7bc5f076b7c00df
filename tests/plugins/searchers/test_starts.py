"""Refinements start from the choice of another searcher, and know what it measured."""

import random
from typing import get_args

import pytest

from prunekit.core import Part, Problem
from prunekit.core.driver import Driver
from prunekit.core.registry import load
from prunekit.engine.signals import synthetic_signals
from prunekit.plugins.searchers.annealing import Annealing
from prunekit.plugins.searchers.evopress import EvoPress
from prunekit.plugins.searchers.known import Known
from prunekit.plugins.searchers.starts import SEARCHERS, Start, searcher_of
from prunekit.plugins.searchers.swaps import Swaps

STARTS = get_args(Start)


def rugged(subset):
    return random.Random(repr(sorted(subset))).random() + 0.1 * sum(subset)


def evaluate(subsets):
    return [rugged(s) for s in subsets]


def problem_of(searcher):
    return Problem(8, 2, signals=synthetic_signals(searcher, 8))


def received(asking, losses):
    """Run a generator to its end; return its requests and its result."""
    requests = []
    try:
        request = next(asking)
        while True:
            requests.append(request)
            request = asking.send(losses(request))
    except StopIteration as stop:
        return requests, stop.value


def test_every_start_is_the_built_in_searcher_of_that_name():
    built_in = {e.name: e.cls for e in load().of("searcher") if e.source == "prunekit"}
    assert set(STARTS) == set(SEARCHERS)
    for name in STARTS:
        assert type(searcher_of(name)) is built_in[name]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("cls", [Swaps, Annealing, EvoPress])
def test_no_refinement_ends_worse_than_its_start(cls, start):
    searcher, first = cls(start=start), searcher_of(start)
    problem = problem_of(searcher)
    assert searcher.needs == first.needs
    begun, refined = (Driver(s, problem).run(evaluate).removed for s in (first, searcher))
    assert rugged(refined) <= rugged(begun)


@pytest.mark.parametrize("cls", [Swaps, Annealing])
def test_a_refinement_asks_first_for_what_its_start_asks_and_for_nothing_twice(cls):
    for start in ("one-shot", "cbo", "block-influence"):
        searcher = cls(start=start)
        problem = problem_of(searcher)
        begun, whole = (Driver(s, problem).run(evaluate) for s in (searcher_of(start), searcher))
        assert whole.requests[: begun.asked] == begun.requests
        rest = whole.requests[begun.asked :]
        assert len(rest) == len(set(rest))
        assert not set(rest) & set(begun.requests)


def test_what_is_known_is_not_asked_again():
    known = Known({frozenset({1}): 5.0})
    wanted = [frozenset({2}), frozenset({1}), frozenset({2})]
    requests, losses = received(known.ask(wanted), lambda request: [7.0] * len(request))
    assert requests == [[frozenset({2})]]
    assert losses == [7.0, 5.0, 7.0]
    assert received(known.ask(wanted), None) == ([], [7.0, 5.0, 7.0])


def test_losses_on_a_part_of_the_samples_are_not_kept():
    def search():
        (rough,) = yield Part([frozenset({1})], share=0.5)
        (fine,) = yield [frozenset({2})]
        return frozenset({1 if rough < fine else 2})

    known = Known()
    _, choice = received(known.follow(search()), lambda request: [float(sum(*request))])
    assert choice == {1}
    assert known == {frozenset({2}): 2.0}


def test_of_equal_losses_the_first_subset_is_best():
    known = Known({frozenset({3}): 1.0, frozenset({2}): 1.0, frozenset({0, 1}): 0.0})
    assert known.best(1) == {2}
