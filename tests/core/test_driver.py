"""The driver and the contract between it and searchers."""

import math
import random

import pytest

from prunekit.core import ConfigError, Part, PluginError, Problem
from prunekit.core.driver import Driver

PROBLEM = Problem(6, 2, protected=frozenset({0}))


def searcher(*requests, returns=frozenset({1, 2})):
    class Scripted:
        name = "scripted"

        def search(self, problem):
            for request in requests:  # noqa: UP028, a tuple takes no losses
                yield request
            return returns

    return Scripted()


def zeros(subsets):
    return [float(sum(s)) for s in subsets]


def test_a_search_ends_with_what_it_returns():
    choice = Driver(searcher([frozenset({1})], [frozenset({2}), frozenset({2})]), PROBLEM).run(
        zeros
    )
    assert (choice.removed, choice.asked) == (frozenset({1, 2}), 3)


def test_losses_arrive_in_the_order_asked():
    seen = []

    class Listening:
        name = "listening"

        def search(self, problem):
            seen.append((yield [frozenset({5}), frozenset({1})]))
            return frozenset({1, 2})

    Driver(Listening(), PROBLEM).run(zeros)
    assert seen == [[5.0, 1.0]]


def test_losses_on_a_part_of_the_samples_do_not_rank():
    asked = [Part([frozenset({1, 5})], share=0.5), [frozenset({1, 2})]]
    driver = Driver(searcher(*asked), PROBLEM).run(zeros)
    assert (driver.ranked(), driver.asked) == ([frozenset({1, 2})], 2)


@pytest.mark.parametrize("share", [0, -1, 1.01, float("nan")])
def test_a_part_is_a_share_of_the_samples(share):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Part([frozenset({1})], share)


def test_the_best_so_far_is_known_at_every_moment():
    driver = Driver(searcher([frozenset({5}), frozenset({1, 5}), frozenset({1, 2})]), PROBLEM)
    assert (driver.ranked(), driver.best) == ([], None)
    driver.answer(zeros(driver.request))
    assert driver.ranked() == [frozenset({1, 2}), frozenset({1, 5})]
    assert driver.best == {1, 2}


@pytest.mark.parametrize("seed", range(5))
def test_the_best_is_the_first_of_all_that_are_ranked_ties_and_infinite_losses_included(seed):
    chance = random.Random(seed)
    subsets = [frozenset(chance.sample(range(1, 6), chance.randint(1, 3))) for _ in range(60)]
    requests = [subsets[i : i + 4] for i in range(0, 60, 4)]
    requests[7] = Part(requests[7], share=0.5)
    driver = Driver(searcher(*requests), PROBLEM)
    while driver.request is not None:
        driver.answer([[1.0, 2.0, math.inf][sum(s) % 3] for s in driver.request])
        assert driver.best == next(iter(driver.ranked()), None)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (searcher([]), "must yield a list of at least one subset, not []"),
        (searcher(3), "must yield a list of at least one subset, not 3"),
        (searcher([{1}]), "must give subsets as frozensets of int, not {1}"),
        (searcher([frozenset({"1"})]), "must give subsets as frozensets of int"),
        (searcher([frozenset({0, 1})]), "may not remove blocks 0"),
        (searcher([frozenset({6})]), "may not remove blocks 6"),
        (searcher(returns=frozenset({1})), "returned 1 (1 block), but the budget is 2"),
        (searcher(returns=None), "must give subsets as frozensets of int, not None"),
        (searcher(returns=frozenset({0, 1})), "may not remove blocks 0"),
    ],
)
def test_a_broken_contract_names_the_searcher(broken, reason):
    with pytest.raises(PluginError) as caught:
        Driver(broken, PROBLEM).run(zeros)
    assert "searcher 'scripted'" in str(caught.value)
    assert reason in str(caught.value)


def test_a_searcher_that_asks_for_ever_for_what_it_knows_is_ended():
    class Endless:
        name = "endless"

        def search(self, problem):
            while True:
                yield [frozenset({1}), frozenset({2})]

    with pytest.raises(PluginError, match="endless.*nothing but known subsets 10,000 times in a"):
        Driver(Endless(), PROBLEM).run(zeros)


def test_a_searcher_may_ask_for_known_subsets_as_long_as_new_ones_come():
    class Repeating:
        name = "repeating"

        def search(self, problem):
            for number in range(3):
                for _ in range(9_999):
                    yield [frozenset({1 + number})]
            return frozenset({1, 2})

    assert Driver(Repeating(), PROBLEM).run(zeros).asked == 3 * 9_999


def test_a_searcher_that_fails_is_named_and_its_error_kept():
    class Failing:
        name = "failing"

        def search(self, problem):
            yield [frozenset({1})]
            raise KeyError(3)

    with pytest.raises(PluginError, match=r"\.Failing\) failed: KeyError: 3") as caught:
        Driver(Failing(), PROBLEM).run(zeros)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_search_that_is_no_generator_is_named():
    class Eager:
        name = "eager"

        def search(self, problem):
            return frozenset({1, 2})

    with pytest.raises(PluginError, match="must be a generator"):
        Driver(Eager(), PROBLEM).run(zeros)


def test_a_searcher_may_refuse_a_problem():
    class Picky:
        name = "picky"

        def check_problem(self, problem):
            if problem.budget > 1:
                raise ConfigError("picky removes one block; choose --budget 1")

        def search(self, problem):
            yield [frozenset({1})]
            return frozenset({1})

    assert Driver(Picky(), Problem(6, 1)).run(zeros).removed == {1}
    with pytest.raises(ConfigError, match="choose --budget 1"):
        Driver(Picky(), PROBLEM).run(zeros)
