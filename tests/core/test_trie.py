"""Shared prefixes: how much is saved, and that nothing is lost."""

import itertools
import random

import pytest

from prunekit.core.problem import DENSE, Problem
from prunekit.core.trie import block_runs, block_runs_alone, runs_of_each, walk
from prunekit.engine.dry_run import dry_run_cost, made_up_loss
from prunekit.plugins.searchers.greedy import Greedy


def singles(n):
    return [frozenset({i}) for i in range(n)]


@pytest.mark.parametrize(("n", "shared", "alone"), [(32, 527, 992), (36, 665, 1260)])
def test_cost_of_all_single_removals(n, shared, alone):
    assert (block_runs(singles(n), n), block_runs_alone(singles(n), n)) == (shared, alone)


def test_cost_of_greedy_to_seven():
    cost = dry_run_cost(Greedy(), Problem(32, 7))
    assert (cost.asked, cost.block_runs - 32, cost.block_runs_unshared) == (203, 3052, 5712)


def test_every_subset_comes_out_once_with_the_blocks_it_keeps():
    rng = random.Random(1)
    subsets = {frozenset(rng.sample(range(9), rng.randrange(9))) for _ in range(200)}
    trace = {s: path for path, s in walk(subsets, 9, (), lambda i, path: (*path, i))}
    assert trace == {s: tuple(i for i in range(9) if i not in s) for s in subsets}


def test_a_block_runs_once_for_each_different_prefix():
    subsets = [frozenset(c) for k in range(4) for c in itertools.combinations(range(7), k)]
    prefixes = {(i, s & set(range(i))) for s in subsets for i in range(7) if i not in s}
    assert block_runs(subsets, 7) == len(prefixes)


@pytest.mark.parametrize("seed", range(5))
def test_the_blocks_run_for_each_subset_are_those_that_walk_runs_before_it(seed):
    rng = random.Random(seed)
    subsets = [frozenset(rng.sample(range(9), rng.randrange(9))) for _ in range(60)]
    counted, runs = {}, []
    for _, subset in walk(set(subsets), 9, None, lambda i, state: runs.append(i)):
        counted[subset] = len(runs)
        runs.clear()
    assert list(runs_of_each(subsets, 9).items()) == list(counted.items())


def test_no_more_states_are_alive_than_branches_are_open():
    alive = {"now": 0, "most": 0}

    class Tracked:
        def __init__(self):
            alive["now"] += 1
            alive["most"] = max(alive["most"], alive["now"])

        def __del__(self):
            alive["now"] -= 1

    subsets = [frozenset(c) for c in itertools.combinations(range(12), 3)]
    for _ in walk(subsets, 12, Tracked(), lambda i, state: Tracked()):
        pass
    assert alive["most"] <= 3 + 3


def test_the_dense_model_alone_runs_every_block():
    assert block_runs([DENSE], 32) == 32
    assert made_up_loss(DENSE, 32) < made_up_loss(frozenset({5}), 32)
