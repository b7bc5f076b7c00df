"""Evolution by level switches."""

import random

import pytest

from prunekit.core import ConfigError, Part, Problem
from prunekit.core.driver import Driver
from prunekit.core.options import build
from prunekit.plugins.searchers.evopress import EvoPress
from prunekit.plugins.searchers.one_shot import OneShot


def rugged(subset):
    return random.Random(repr(sorted(subset))).random() + 0.1 * sum(subset)


def in_order(subset):
    return rugged(subset), sorted(subset)


def requests(searcher, problem, loss=rugged):
    """Every request with its share of the samples, and the choice."""
    driver, asked = Driver(searcher, problem), []
    while (request := driver.request) is not None:
        asked.append((request.share if isinstance(request, Part) else 1.0, list(request)))
        driver.answer([loss(s) for s in request])
    return asked, driver.removed


def test_few_children_survive_a_part_of_the_samples_and_meet_their_parent_on_all():
    searcher = EvoPress(generations=4, start="one-shot", initial=10)
    asked, removed = requests(searcher, Problem(20, 6))
    (_, singles), (_, (parent,)), *selections = asked
    assert len(singles) == 20
    assert [share for share, _ in selections] == [0.0625, 1.0] * 5
    assert len(selections[0][1]) == 10
    for (_, children), (_, met) in zip(selections[::2], selections[1::2], strict=True):
        survivors = sorted(set(children), key=in_order)[:2]
        assert met == survivors  # the parent is known
        parent = min([parent, *survivors], key=in_order)
    assert removed == parent


def test_children_are_up_to_three_swaps_from_their_parent_and_one_most_often():
    asked, _ = requests(EvoPress(generations=1, initial=0, offspring=900), Problem(40, 12))
    (_, (parent,)), (_, children) = asked[:2]
    distances = [len(child - parent) for child in children]
    assert set(distances) == {1, 2, 3}
    assert distances.count(3) < len(children) / 4  # 1 in 9, more among different children


def test_with_one_stage_every_child_is_measured_on_all_samples():
    asked, _ = requests(EvoPress(generations=5, stages="1:1"), Problem(16, 5))
    assert {share for share, _ in asked} == {1.0}


def test_stages_narrow_down():
    asked, _ = requests(EvoPress(generations=1, stages="8:0.1,3:0.5,1:1"), Problem(24, 8))
    sizes = [(share, len(subsets)) for share, subsets in asked[1:]]
    assert [share for share, _ in sizes] == [0.1, 0.5, 1.0] * 2
    assert [size for share, size in sizes if share == 0.5] == [8, 8]
    assert all(size <= 3 for share, size in sizes if share == 1.0)


def test_a_rough_selection_may_err_but_never_makes_the_parent_worse():
    """The part of the samples says the opposite of all of them."""
    problem = Problem(14, 4, seed=2)
    driver = Driver(EvoPress(start="one-shot", generations=10), problem)
    while (request := driver.request) is not None:
        sign = -1 if isinstance(request, Part) else 1
        driver.answer([sign * rugged(s) for s in request])
    one_shot = Driver(OneShot(), problem).run(lambda subsets: [rugged(s) for s in subsets]).removed
    assert rugged(driver.removed) <= rugged(one_shot)
    assert rugged(driver.removed) == min(rugged(s) for s in driver.losses if len(s) == 4)


@pytest.mark.parametrize("seed", range(3))
def test_an_additive_loss_is_solved(seed):
    def loss(subset):
        return sum(((7 * i) % 13) / 13 for i in subset)

    _, removed = requests(EvoPress(), Problem(14, 4, seed=seed), loss)
    assert removed == {0, 2, 4, 13}  # 0, 1/13, 2/13 and 0


def test_it_ends_when_every_subset_was_measured():
    asked, removed = requests(EvoPress(), Problem(4, 2))
    assert len(asked) < 10
    whole = {s for share, subsets in asked if share == 1 for s in subsets}
    assert len(whole) == 6
    assert removed == min(whole, key=rugged)


def test_seeds_give_different_searches():
    first, other = (requests(EvoPress(), Problem(16, 5, seed=s))[0] for s in (0, 1))
    assert first != other


@pytest.mark.parametrize(
    "stages", ["", "2", "2:0.5", "1:1,1:1", "2:0.5,1:0.4", "1:0.5,2:1", "0:0.5,1:1", "1:2", "1:nan"]
)
def test_stages_that_lead_nowhere_are_refused(stages):
    with pytest.raises(
        ConfigError, match=r"evopress: the stages are .* write for example 2:0.0625"
    ):
        build(EvoPress, {"stages": stages}, "evopress")
