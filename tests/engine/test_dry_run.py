"""The cost of a search, known before it is paid."""

import pytest

from prunekit.core.problem import Problem, single_removals
from prunekit.engine.dry_run import dry_run_cost
from prunekit.plugins.searchers.beam import Beam
from prunekit.plugins.searchers.genetic import Genetic
from prunekit.plugins.searchers.greedy import Greedy
from prunekit.plugins.searchers.one_shot import OneShot


def test_one_shot():
    cost = dry_run_cost(OneShot(), Problem(32, 7))
    assert (cost.asked, cost.measured, cost.complete) == (32, 33, True)
    assert (cost.block_runs, cost.block_runs_unshared) == (32 + 527, 992)


def test_genetic_counts_repeats_as_asked_but_not_as_measured():
    cost = dry_run_cost(Genetic(), Problem(32, 7))
    assert cost.asked == 208
    assert cost.measured <= 1 + 178


def test_what_is_measured_anyway_counts_once():
    singles = single_removals(32)
    assert dry_run_cost(OneShot(), Problem(32, 7), also=singles) == dry_run_cost(
        OneShot(), Problem(32, 7)
    )
    protected = Problem(32, 7, protected=frozenset({0, 31}))
    cost = dry_run_cost(OneShot(), protected, also=singles)
    assert (cost.asked, cost.measured, cost.block_runs) == (30, 33, 32 + 527)


def test_a_searcher_without_end_is_cut_off():
    class Endless:
        name = "endless"

        def search(self, problem):
            while True:
                yield [frozenset({0})]

    assert not dry_run_cost(Endless(), Problem(4, 1), seconds=0.05).complete


@pytest.mark.parametrize(
    ("searcher", "budget", "real"),
    [
        (Greedy(), 4, 448),
        (Beam(), 2, 582),
        (Beam(), 4, 1335),
        (Genetic(), 2, 1095),
        (Genetic(), 4, 1433),
    ],
)
def test_block_forwards_are_foretold_within_a_tenth(searcher, budget, real):
    """Those on the losses of the demo models are means over docs/search-quality.csv."""
    foretold = dry_run_cost(searcher, Problem(16, budget)).block_runs - 16  # without the dense
    assert 0.9 < foretold / real < 1.1
