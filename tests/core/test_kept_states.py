"""States that are kept between requests: what they save, what they cost, and that losses stay."""

import itertools
import random

import pytest

from prunekit.core.driver import Driver
from prunekit.core.kept_states import KeptStates
from prunekit.core.problem import Problem
from prunekit.core.trie import block_runs, walk
from prunekit.plugins.searchers.greedy import Greedy


def random_requests(n=9, count=40):
    rng = random.Random(1)
    for _ in range(count):
        yield [frozenset(rng.sample(range(n), rng.randrange(n))) for _ in range(rng.randint(1, 8))]


@pytest.mark.parametrize("most", [0, 1, 2, 5, 30, 10_000])
def test_what_comes_out_is_what_a_plain_walk_gives(most):
    kept = KeptStates(most)
    for request in random_requests():
        expected = walk(set(request), 9, (), lambda i, path: (*path, i))
        found = kept.walk(request, 9, tuple, lambda i, path: (*path, i))
        assert dict((s, p) for p, s in found) == dict((s, p) for p, s in expected)
        assert len(kept) <= most


def test_with_room_for_all_no_prefix_is_run_twice():
    kept, ran, entered = KeptStates(10_000), [], []

    def run(index, path):
        ran.append((*path, index))
        return ran[-1]

    for request in random_requests():
        list(kept.walk(request, 9, lambda: entered.append(1) or (), run))
    assert len(ran) == len(set(ran))
    assert len(entered) == 1


def runs_of_greedy(n, budget, most):
    """Count the blocks that run in a greedy search, which finds the blocks from 20 on cheapest."""
    kept, runs = KeptStates(most), itertools.count()
    walked = []

    def losses(request):
        walked.append(block_runs(request, n))
        list(kept.walk(request, n, lambda: True, lambda i, state: next(runs) >= 0))
        return [sum(abs(i - 20) for i in s) for s in request]

    Driver(Greedy(), Problem(n, budget)).run(losses)
    return next(runs), sum(walked)


def test_a_greedy_search_goes_on_from_the_states_of_its_last_round():
    (all_kept, plain), (none, same) = runs_of_greedy(32, 7, 10_000), runs_of_greedy(32, 7, 0)
    assert none == same == plain
    assert all_kept < 0.7 * plain


def test_fewer_states_save_less_but_save():
    runs = [runs_of_greedy(32, 7, most)[0] for most in (0, 50, 200, 1000)]
    assert runs == sorted(runs, reverse=True)
    assert runs[1] < 0.95 * runs[0]


def test_no_more_states_are_alive_than_are_kept_and_branches_are_open():
    alive = {"now": 0, "most": 0}

    class Tracked:
        def __init__(self, *_):
            alive["now"] += 1
            alive["most"] = max(alive["most"], alive["now"])

        def __del__(self):
            alive["now"] -= 1

    kept = KeptStates(20)
    for size in (3, 2, 3):
        subsets = [frozenset(c) for c in itertools.combinations(range(12), size)]
        for _ in kept.walk(subsets, 12, Tracked, Tracked):
            pass
    assert alive["most"] <= 20 + 3 + 3
