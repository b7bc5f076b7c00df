"""Searchers that choose by a signal of the dense model, without a loss."""

import itertools
import math
import random

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.core.registry import load
from prunekit.engine.dry_run import dry_run_cost
from prunekit.plugins.searchers.angular import Angular
from prunekit.plugins.searchers.block_influence import BlockInfluence
from prunekit.plugins.searchers.relative_magnitude import RelativeMagnitude
from prunekit.plugins.searchers.taylor import Taylor

RANKINGS = [Angular(), Angular(runs=3), BlockInfluence(), RelativeMagnitude(), Taylor()]
BUILT_IN = [e.cls for e in load().of("searcher") if e.source == "prunekit"]


def choice(searcher, problem):
    driver = Driver(searcher, problem)
    assert driver.request is None
    return driver.removed


def cosines(n_blocks, seed):
    """A symmetric table between boundaries, of which any may be alike."""
    rng = random.Random(seed)
    table = [[1.0] * (n_blocks + 1) for _ in range(n_blocks + 1)]
    for a, b in itertools.combinations(range(n_blocks + 1), 2):
        table[a][b] = table[b][a] = rng.uniform(-0.2, 1)
    return table


def runs_of(blocks):
    """First blocks of the runs, and the boundaries behind them."""
    starts = [i for i in blocks if i - 1 not in blocks]
    ends = [i + 1 for i in blocks if i + 1 not in blocks]
    return list(zip(sorted(starts), sorted(ends), strict=True))


def best_runs(problem, table, most):
    """By trying all subsets: the smallest sum of distances of up to that many runs."""
    subsets = map(frozenset, itertools.combinations(problem.removable, problem.budget))
    allowed = [s for s in subsets if len(runs_of(s)) <= most]

    def distance(subset):
        return sum(math.acos(table[a][b]) / math.pi for a, b in runs_of(subset))

    return min(allowed, key=lambda s: (distance(s), sorted(s)), default=None)


def test_block_influence_removes_the_blocks_that_turn_least():
    table = cosines(6, seed=0)
    for block, cosine in enumerate([0.7, 0.9, 0.8, 0.9, 1.0, 0.1]):
        table[block][block + 1] = table[block + 1][block] = cosine
    signals = {"boundary_cosine": table}
    assert choice(BlockInfluence(), Problem(6, 2, signals=signals)) == {1, 4}
    protected = Problem(6, 2, protected=frozenset({4}), signals=signals)
    assert choice(BlockInfluence(), protected) == {1, 3}
    assert choice(BlockInfluence(), Problem(6, 1, frozenset({4}), signals=signals)) == {1}


def test_relative_magnitude_removes_the_blocks_that_add_least():
    signals = {"relative_magnitude": [[0.3, 0.1, 0.2, 0.1, 0.0, 0.9]]}
    assert choice(RelativeMagnitude(), Problem(6, 2, signals=signals)) == {1, 4}
    assert choice(RelativeMagnitude(), Problem(6, 2, frozenset({4}), signals=signals)) == {1, 3}


def test_taylor_removes_the_blocks_whose_slope_is_smallest_of_either_sign():
    signals = {"taylor": [[-0.3, 0.1, -0.05, 0.2, -0.1, 0.0]]}
    assert choice(Taylor(), Problem(6, 2, signals=signals)) == {2, 5}
    assert choice(Taylor(), Problem(6, 3, signals=signals)) == {1, 2, 5}
    assert choice(Taylor(), Problem(6, 2, frozenset({5}), signals=signals)) == {1, 2}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("runs", [1, 2, 3, 5])
@pytest.mark.parametrize("protected", [frozenset(), frozenset({0, 9}), frozenset({4})])
def test_angular_finds_the_best_of_all_sets_of_runs(seed, runs, protected):
    table = cosines(10, seed)
    for budget in (1, 2, 4, 5):
        problem = Problem(10, budget, protected, signals={"boundary_cosine": table})
        best = best_runs(problem, table, runs)
        found = choice(Angular(runs=runs), problem)
        assert len(runs_of(found)) <= runs or best is None
        assert best is None or found == best


def test_with_one_run_angular_is_the_formula_of_the_paper():
    table = cosines(12, seed=3)
    start = min(range(12 - 4 + 1), key=lambda i: math.acos(table[i][i + 4]) / math.pi)
    problem = Problem(12, 4, signals={"boundary_cosine": table})
    assert choice(Angular(), problem) == set(range(start, start + 4))


def test_angular_takes_as_many_runs_as_protected_blocks_force():
    table = cosines(9, seed=5)
    problem = Problem(9, 4, frozenset({2, 5}), signals={"boundary_cosine": table})
    found = choice(Angular(), problem)
    assert found == best_runs(problem, table, 2)
    assert len(runs_of(found)) == 2


def test_of_equal_runs_the_first_is_removed():
    table = [[1.0] * 7 for _ in range(7)]
    for runs in (1, 2, 6):
        problem = Problem(6, 2, signals={"boundary_cosine": table})
        assert choice(Angular(runs=runs), problem) == {0, 1}


def test_cosines_that_rounding_took_beyond_one_are_angles_of_nothing():
    table = [[1.0 + 1e-12] * 5 for _ in range(5)]
    assert choice(Angular(), Problem(4, 2, signals={"boundary_cosine": table})) == {0, 1}


@pytest.mark.parametrize("searcher", RANKINGS, ids=lambda s: s.name)
def test_a_dry_run_measures_the_dense_model_alone(searcher):
    cost = dry_run_cost(searcher, Problem(12, 4))
    assert (cost.asked, cost.measured, cost.complete) == (0, 1, True)


def test_those_of_one_pass_ask_for_no_loss_and_no_derivative():
    one_pass = {cls.name for cls in BUILT_IN if cls.one_pass}
    assert one_pass == {"angular", "block-influence", "relative-magnitude"}
    for cls in BUILT_IN:
        if cls.one_pass:
            assert dry_run_cost(cls(), Problem(9, 3)).asked == 0
            assert not any(signal.derivative for signal in cls().needs)
