"""Fast-block-select."""

import math
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.fast_block_select import FastBlockSelect
from prunekit.plugins.searchers.one_shot import OneShot


def run(searcher, problem, loss):
    asked = []

    def evaluate(subsets):
        asked.extend(subsets)
        return [loss(s) for s in subsets]

    return Driver(searcher, problem).run(evaluate).removed, asked


def test_without_runs_it_is_one_shot():
    def loss(subset):
        return sum(0.1 if i % 2 else 1.0 + i for i in subset)

    removed, asked = run(FastBlockSelect(), Problem(12, 5), loss)
    assert removed == run(OneShot(), Problem(12, 5), loss)[0]
    assert len(asked) == 12


def clustered(subset):
    """Alone, blocks 2 and 3 are cheapest; together they are dearer than 7 and 8."""
    alone = {2: 0.1, 3: 0.1, 7: 0.2, 8: 0.2}
    together = 5.0 if {2, 3} <= subset else 0.0
    return sum(alone.get(i, 3.0) for i in subset) + together


def test_a_run_is_exchanged_for_a_cheaper_one():
    assert run(OneShot(), Problem(12, 2), clustered)[0] == {2, 3}
    assert run(FastBlockSelect(), Problem(12, 2), clustered)[0] == {7, 8}


@pytest.mark.parametrize("seed", range(10))
def test_guarded_it_is_never_worse_than_one_shot(seed):
    def loss(subset):
        return random.Random(f"{seed}{sorted(subset)}").random() + 0.3 * sum(
            i + 1 in subset for i in subset
        )

    problem = Problem(14, 5)
    guarded = run(FastBlockSelect(guard=True, sub_windows=True), problem, loss)[0]
    assert loss(guarded) <= loss(run(OneShot(), problem, loss)[0])


def test_a_group_that_breaks_the_model_is_not_promising():
    def loss(subset):
        return math.inf if {7, 8} <= subset else clustered(subset)

    assert run(FastBlockSelect(), Problem(12, 2), loss)[0] != {7, 8}


def information(boundaries, close):
    """Mutual information by distance, but for the groups that are named."""
    table = [[5.0 - abs(a - b) for b in range(boundaries)] for a in range(boundaries)]
    for (a, b), value in close.items():
        table[a][b] = table[b][a] = value
    return table


def test_by_information_nothing_is_measured():
    table = information(9, {(2, 3): 9.0, (5, 6): 8.0})
    problem = Problem(8, 2, signals={"block_similarity": table})
    removed, asked = run(FastBlockSelect(oracle="mi"), problem, clustered)
    assert (removed, asked) == ({2, 5}, [])


def test_by_information_a_run_is_exchanged():
    table = information(
        9, {(2, 3): 9.0, (3, 4): 9.0, (2, 4): 1.0, (5, 6): 8.0, (6, 7): 8.0, (5, 7): 7.0}
    )
    problem = Problem(8, 2, signals={"block_similarity": table})
    assert run(FastBlockSelect(oracle="mi"), problem, clustered)[0] == {5, 6}


def test_only_the_information_oracle_needs_a_signal():
    assert FastBlockSelect().needs == ()
    assert [s.name for s in FastBlockSelect(oracle="mi").needs] == ["block_similarity"]
