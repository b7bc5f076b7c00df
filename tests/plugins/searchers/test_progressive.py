"""The samples are doubled until two choices in a row agree."""

import pytest

from prunekit.core import Problem
from prunekit.core.driver import Driver
from prunekit.core.problem import share_of
from prunekit.engine.cost import CostCounter
from prunekit.plugins.searchers.greedy import Greedy
from prunekit.plugins.searchers.one_shot import OneShot
from prunekit.plugins.searchers.progressive import Progressive

PROBLEM = Problem(8, 2)


def searched(searcher, loss):
    """Answer with a loss that depends on the share; return the driver, the shares and the cost."""
    driver, shares, cost = Driver(searcher, PROBLEM), [], CostCounter(PROBLEM.n_blocks)
    while driver.request is not None:
        share = share_of(driver.request)
        shares.append(share)
        cost.add(driver.request)
        driver.answer([loss(subset, share) for subset in driver.request])
    return driver, list(dict.fromkeys(shares)), cost


def steady(subset, share):
    return float(sum(subset))


def turning(subset, share):
    """Below half of the samples other blocks are cheap at every share."""
    turn = {0.0625: 0, 0.125: 3, 0.25: 6}.get(share, 0)
    return float(sum((i + turn) % 8 for i in subset))


def test_a_choice_that_holds_needs_two_stages():
    driver, shares, _ = searched(Progressive(), steady)
    assert shares == [0.125, 0.25, 1.0]
    assert driver.removed == {0, 1}
    assert driver.losses == {frozenset({0, 1}): 1.0}


def test_a_choice_that_changes_needs_more():
    driver, shares, _ = searched(Progressive(first=0.0625), turning)
    assert shares == [0.0625, 0.125, 0.25, 0.5, 1.0]
    assert driver.removed == {0, 1}


def test_on_all_samples_it_chooses_what_the_searcher_does():
    driver, shares, _ = searched(Progressive(first=1.0), steady)
    assert shares == [1.0]
    assert (
        driver.removed == Driver(Greedy(), PROBLEM).run(lambda b: [steady(s, 1) for s in b]).removed
    )


def test_stages_cost_no_more_than_the_last_of_them():
    _, _, cost = searched(Progressive(searcher="one-shot", agreement=1.0), steady)
    whole = CostCounter(8)
    Driver(OneShot(), PROBLEM).run(lambda b: whole.add(b) or [steady(s, 1) for s in b])
    choice = 6
    assert cost.block_runs == round(whole.block_runs * 0.25 + choice)


@pytest.mark.parametrize("searcher", ["greedy", "beam", "cbo"])
def test_other_searchers_run_in_it(searcher):
    driver, _, _ = searched(Progressive(searcher=searcher), steady)
    assert driver.removed == {0, 1}
