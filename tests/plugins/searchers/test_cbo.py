"""Constrained binary optimisation."""

import itertools
import math
import random

import numpy as np
import pytest

from prunekit.core import DENSE, Problem
from prunekit.core.driver import Driver
from prunekit.engine.signals import synthetic_signals
from prunekit.plugins.searchers import quadratic
from prunekit.plugins.searchers.cbo import ConstrainedBinary
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.quadratic import energy, penalised


def symmetric(n, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    return (matrix + matrix.T) / 2


def by_brute_force(q, size, count):
    subsets = map(frozenset, itertools.combinations(range(len(q)), size))
    return sorted(subsets, key=lambda s: (energy(q, s), sorted(s)))[:count]


def run(searcher, problem, loss):
    asked = []

    def evaluate(subsets):
        asked.extend(subsets)
        return [loss(s) for s in subsets]

    return Driver(searcher, problem).run(evaluate).removed, asked


def pairwise_loss(n, seed=0):
    q = symmetric(n, seed)
    return lambda subset: 3.0 + energy(q, subset)


def saturating(fatal):
    """A loss that cannot rise above a cap, as a language model's cannot."""

    def loss(subset):
        cost = sum(20.0 if i in fatal else 0.1 + 0.02 * i for i in subset)
        return 2.0 + 8.0 * math.tanh(cost / 8.0)

    return loss


@pytest.mark.parametrize("at_once", [1, 50, 4_000_000])
@pytest.mark.parametrize(("n", "size"), [(16, 5), (15, 7), (9, 1), (7, 6), (6, 6), (1, 1)])
def test_the_lowest_states_are_those_of_brute_force(n, size, at_once, monkeypatch):
    monkeypatch.setattr(quadratic, "CELLS_AT_ONCE", at_once)
    q = symmetric(n)
    assert quadratic.lowest(q, size, 20, seed=0) == by_brute_force(q, size, 20)


def test_only_parts_of_all_states_are_in_memory(monkeypatch):
    sizes = []
    add = quadratic._Lowest.add

    def noting(self, energies, few, many):
        sizes.append(energies.size)
        assert max(few.size, many.size) <= 10_000 * 30
        add(self, energies, few, many)

    monkeypatch.setattr(quadratic._Lowest, "add", noting)
    monkeypatch.setattr(quadratic, "CELLS_AT_ONCE", 10_000)
    quadratic.lowest(symmetric(30), 5, 20, seed=0)
    assert max(sizes) <= 10_000
    assert sum(sizes) <= math.comb(30, 5)


@pytest.mark.parametrize("spread", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("limited", [True, False])
def test_halves_are_left_out_only_if_no_low_state_has_them(spread, limited, monkeypatch):
    monkeypatch.setattr(quadratic, "ROWS_AT_ONCE", 20)
    monkeypatch.setattr(quadratic, "CELLS_AT_ONCE", 100)
    monkeypatch.setattr(quadratic, "ENOUGH_TO_LIMIT", 0 if limited else math.inf)
    for seed in range(3):
        q = spread * symmetric(14, seed) + np.diag(np.arange(14.0) // 3)
        assert quadratic.lowest(q, 5, 20, seed=0) == by_brute_force(q, 5, 20)


def test_where_blocks_differ_much_few_states_are_evaluated(monkeypatch):
    sizes = []
    add = quadratic._Lowest.add

    def noting(self, energies, left, right):
        sizes.append(energies.size)
        add(self, energies, left, right)

    monkeypatch.setattr(quadratic._Lowest, "add", noting)
    monkeypatch.setattr(quadratic, "ENOUGH_TO_LIMIT", 0)
    q = 0.01 * symmetric(30) + np.diag(np.arange(30.0))
    assert quadratic.lowest(q, 5, 20, seed=0)[0] == {0, 1, 2, 3, 4}
    assert sum(sizes) < math.comb(30, 5) / 10


def test_states_of_equal_energy_come_in_the_order_of_their_blocks():
    found = quadratic.lowest(np.zeros((6, 6)), 2, 15, seed=0)
    assert [sorted(s) for s in found] == [list(c) for c in itertools.combinations(range(6), 2)]


def test_tabu_search_finds_the_lowest_states_too(monkeypatch):
    q = symmetric(16)
    exact = quadratic.lowest(q, 5, 5, seed=0)
    monkeypatch.setattr(quadratic, "MOST_STATES", 10)
    found = quadratic.lowest(q, 5, 5, seed=0)
    assert found[0] == exact[0]
    assert found == quadratic.lowest(q, 5, 5, seed=0)
    assert all(len(s) == 5 for s in found)


def test_the_penalty_makes_the_unconstrained_optimum_the_constrained_one():
    q, size = symmetric(9), 3
    full = penalised(q, size)
    everything = [frozenset(c) for k in range(10) for c in itertools.combinations(range(9), k)]
    ranked = sorted(everything, key=lambda s: energy(full, s))
    assert ranked[:84] == by_brute_force(q, size, 84)


def test_the_fisher_energy_is_the_mean_squared_first_order_change():
    signals = synthetic_signals(ConstrainedBinary(hessian="fisher"), 8)
    problem = Problem(8, 3, signals=signals)
    q = ConstrainedBinary(hessian="fisher")._model(problem, {})
    for subset in itertools.combinations(range(8), 3):
        changes = [sum(row[i] for i in subset) ** 2 for row in signals["gate_gradients"]]
        assert energy(q, frozenset(subset)) == pytest.approx(sum(changes) / len(changes))


@pytest.mark.parametrize("seed", range(5))
def test_a_purely_pairwise_loss_is_solved(seed):
    loss = pairwise_loss(12, seed)
    best = min(map(frozenset, itertools.combinations(range(12), 4)), key=loss)
    for searcher in (ConstrainedBinary(), ConstrainedBinary(rerank=0, fatal_filter=False)):
        assert run(searcher, Problem(12, 4), loss)[0] == best


@pytest.mark.parametrize("guard", [{"fatal_filter": True}, {"clip_couplings": True}])
def test_three_fatal_blocks_are_avoided_with_either_guard(guard):
    options = {"rerank": 0, "fatal_filter": False, **guard}
    removed, _ = run(ConstrainedBinary(**options), Problem(12, 4), saturating({0, 1, 11}))
    assert not removed & {0, 1, 11}


def test_and_picked_without():
    searcher = ConstrainedBinary(rerank=0, fatal_filter=False)
    removed, _ = run(searcher, Problem(12, 4), saturating({0, 1, 11}))
    assert removed >= {0, 1, 11}


def test_the_guard_leaves_enough_candidates():
    removed, _ = run(
        ConstrainedBinary(), Problem(6, 5), lambda s: math.inf if 0 in s else 1.0 * len(s)
    )
    assert len(removed) == 5


@pytest.mark.parametrize("hessian", ["pairwise", "fisher", "exact"])
@pytest.mark.parametrize("seed", range(3))
def test_measuring_the_lowest_states_never_hurts(hessian, seed):
    def loss(subset):
        return random.Random(f"{seed}{sorted(subset)}").random() + len(subset)

    problem = Problem(10, 4, signals=synthetic_signals(ConstrainedBinary(hessian=hessian), 10))
    reranked, _ = run(ConstrainedBinary(hessian=hessian), problem, loss)
    ground, _ = run(ConstrainedBinary(hessian=hessian, rerank=0), problem, loss)
    one_shot, _ = run(OneShot(), problem, loss)
    assert loss(reranked) <= min(loss(ground), loss(one_shot))


def test_counts():
    problem = Problem(12, 4, signals=synthetic_signals(ConstrainedBinary(hessian="fisher"), 12))
    for searcher, count in (
        (ConstrainedBinary(), 12 + 66 + 21),
        (ConstrainedBinary(rerank=0), 12 + 66),
        (ConstrainedBinary(hessian="fisher"), 12 + 21),
    ):
        assert len(run(searcher, problem, pairwise_loss(12))[1]) == count
    assert DENSE in run(ConstrainedBinary(clip_couplings=True), problem, pairwise_loss(12))[1]


def test_signals_are_needed_only_by_the_models_made_of_them():
    def needs(hessian):
        return [signal.name for signal in ConstrainedBinary(hessian=hessian).needs]

    assert needs("pairwise") == []
    assert needs("fisher") == ["gate_gradients"]
    assert needs("exact") == ["gate_hessian"]


def test_the_linear_term_is_the_slope_of_the_loss():
    """Removing a block along a rising gate gradient lowers the loss, and the model says so."""
    signals = {
        "gate_gradients": ((2.0, -1.0), (2.0, -1.0)),
        "gate_hessian": ((0.0, 0.0), (0.0, 0.0)),
    }
    problem = Problem(2, 1, signals=signals)
    q = ConstrainedBinary(hessian="exact", first_order=1.0)._model(problem, {})
    assert [energy(q, frozenset({i})) for i in range(2)] == [-2.0, 1.0]
