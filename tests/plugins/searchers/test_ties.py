"""Of equals the first in the order of blocks is taken, wherever a few are chosen among many."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers import quadratic
from prunekit.plugins.searchers.annealing import Annealing
from prunekit.plugins.searchers.bayesian import Bayesian
from prunekit.plugins.searchers.beam import Beam
from prunekit.plugins.searchers.cbo import ConstrainedBinary
from prunekit.plugins.searchers.evopress import EvoPress
from prunekit.plugins.searchers.exhaustive import Exhaustive
from prunekit.plugins.searchers.fast_block_select import FastBlockSelect
from prunekit.plugins.searchers.floating import Floating
from prunekit.plugins.searchers.genetic import Genetic
from prunekit.plugins.searchers.greedy import Greedy
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.random_subsets import RandomSubsets
from prunekit.plugins.searchers.surrogate import Surrogate
from prunekit.plugins.searchers.swaps import Swaps


def levels(n, seed, values=(0, 1, 2)):
    """A symmetric matrix with few different entries, so that many subsets tie."""
    upper = np.triu(np.random.default_rng(seed).choice(values, size=(n, n)))
    return upper + np.triu(upper, 1).T


def in_order(q, size):
    """Sort every subset by exact energy, and by blocks."""

    def key(blocks):
        return sum(Fraction(str(q[i, j])) for i in blocks for j in blocks), blocks

    return [frozenset(b) for b in sorted(itertools.combinations(range(len(q)), size), key=key)]


@pytest.mark.parametrize("at_once", [1, 7, 4_000_000])
@pytest.mark.parametrize(("n", "size"), [(9, 4), (8, 3), (11, 5), (7, 6)])
@pytest.mark.parametrize("seed", range(4))
def test_the_lowest_states_are_cut_in_the_order_of_blocks(n, size, seed, at_once, monkeypatch):
    monkeypatch.setattr(quadratic, "CELLS_AT_ONCE", at_once)
    q = levels(n, seed)
    for count in (1, 2, 5, 20):
        assert quadratic.lowest(q, size, count, seed=0) == in_order(q, size)[:count]


@pytest.mark.parametrize("seed", range(6))
def test_energies_that_differ_by_rounding_alone_tie(seed):
    q = levels(10, seed, values=(0.1, 0.2, 0.3, 0.7))
    assert quadratic.lowest(q, 4, 20, seed=0) == in_order(q, 4)[:20]


def test_where_everything_ties_the_first_are_taken():
    for q in (np.zeros((12, 12)), np.full((12, 12), 0.1)):
        expected = [frozenset(b) for b in itertools.combinations(range(12), 5)][:20]
        assert quadratic.lowest(q, 5, 20, seed=0) == expected


@pytest.mark.parametrize("seed", range(12))
def test_cbo_takes_the_first_of_the_lowest_states(seed):
    q = levels(9, seed, values=(1, 2, 3))
    best = in_order(q, 4)[0]
    for rerank in (0, 1, 20):
        searcher = ConstrainedBinary(rerank=rerank, fatal_filter=False)
        losses = {}

        def evaluate(subsets, losses=losses):
            new = {s: float(sum(q[i, j] for i in s for j in s)) for s in subsets}
            losses.update(new)
            return list(new[s] for s in subsets)

        assert Driver(searcher, Problem(9, 4)).run(evaluate).removed == best


@pytest.mark.parametrize(
    "searcher",
    [
        *(OneShot(), Greedy(), Beam(), Beam(include_greedy=True), Genetic(), Exhaustive()),
        *(Bayesian(trials=40), ConstrainedBinary(), FastBlockSelect()),
        *(Swaps(), Swaps(improvement="best"), Annealing(), Floating(), Floating(beyond=2)),
        *(RandomSubsets(), EvoPress(start="one-shot")),
    ],
    ids=lambda s: f"{s.name}",
)
@pytest.mark.parametrize("loss", [2.0, float("inf")])
def test_every_searcher_takes_the_first_blocks_where_all_losses_tie(searcher, loss):
    choice = Driver(searcher, Problem(8, 3)).run(lambda subsets: [loss] * len(subsets))
    assert choice.removed == {0, 1, 2}


def test_of_candidates_that_promise_the_same_the_first_is_measured():
    """Blocks 1 to 5 cost the same, so the model cannot distinguish candidates among them."""
    singles = {i: float(i not in (1, 2, 3, 4, 5)) for i in range(8)}
    losses = {frozenset({0, 6}): 2.0, frozenset({0, 7}): 2.0, frozenset({6, 7}): 2.0}
    candidates = [frozenset(b) for b in itertools.combinations((1, 2, 3, 4, 5), 2)]
    for turned in (candidates, candidates[::-1], candidates[3:] + candidates[:3]):
        found = Surrogate(singles, 2).most_promising(losses, turned, 3)
        assert found == candidates[:3]
