"""Searchers that ask for the best few look at nothing else."""

import math
import random

import pytest

from prunekit.core import Best, Problem
from prunekit.core.driver import Driver
from prunekit.core.registry import load
from prunekit.engine.periods import PeriodSearch
from prunekit.engine.signals import synthetic_signals

SEARCHERS = sorted(
    (e for e in load().entries if e.kind == "searcher" and e.source == "prunekit"),
    key=lambda e: e.name,
)
PROBLEM = Problem(9, 4)


def rough(subset):
    """Some of the losses are equal, and some not finite."""
    if 0 in subset and 8 in subset:
        return math.inf
    return round(random.Random(repr(sorted(subset))).random() + 0.2 * len(subset), 1)


def run(searcher, tell, problem=PROBLEM):
    """Run a searcher to its end; return it with its requests for the best few."""
    signals = synthetic_signals(searcher, problem.n_blocks)
    driver = Driver(searcher, Problem(problem.n_blocks, problem.budget, signals=signals))
    few = []
    while driver.request is not None:
        request = driver.request
        few += [request] if isinstance(request, Best) else []
        driver.answer(tell(request))
    return driver, few


def all_losses(request):
    return [rough(subset) for subset in request]


def winners_alone(request):
    if not isinstance(request, Best):
        return all_losses(request)
    best = sorted(set(request), key=lambda s: (rough(s), sorted(s)))[: request.winners]
    return [rough(subset) if subset in best else math.inf for subset in request]


@pytest.mark.parametrize("entry", SEARCHERS, ids=lambda e: e.name)
def test_the_choice_rests_on_the_winners_alone(entry):
    searcher = entry.cls()
    one, other = run(searcher, all_losses), run(searcher, winners_alone)
    assert one[0].removed == other[0].removed
    assert one[0].requests == other[0].requests


@pytest.mark.parametrize(
    ("name", "options", "winners"),
    [
        ("greedy", {}, [1, 1, 1, 1]),
        ("one-shot", {}, [4]),
        ("exhaustive", {}, [1]),
        ("beam", {"width": 3}, [3, 3, 3, 1]),
        ("beam", {"width": 2, "include_greedy": True}, [2, 2, 2, 1, 1, 1, 1, 1]),
        ("genetic", {}, []),
        ("cbo", {}, []),
        ("swaps", {"start": "greedy"}, []),
    ],
)
def test_each_says_how_many_it_needs(registry, name, options, winners):
    searcher = registry.get("searcher", name).cls(**options)
    assert [request.winners for request in run(searcher, all_losses)[1]] == winners


def test_a_guarded_exchange_needs_the_better_of_two(registry):
    searcher = registry.get("searcher", "fast-block-select").cls(guard=True, sub_windows=True)
    one, other = run(searcher, all_losses), run(searcher, winners_alone)
    assert [(len(few), few.winners) for few in one[1]] == [(2, 1)] * len(one[1])
    assert one[1]
    assert one[0].removed == other[0].removed


def test_runs_of_blocks_are_raced_like_single_ones(registry):
    searcher = PeriodSearch(registry.get("searcher", "greedy").cls(), 2)
    _, few = run(searcher, all_losses, Problem(10, 4))
    assert [request.winners for request in few] == [1] * len(few)
    assert {len(subset) for request in few for subset in request} == {2, 4}


def test_a_request_needs_a_winner():
    with pytest.raises(ValueError, match="at least 1 winner"):
        Best([frozenset({1})], 0)
