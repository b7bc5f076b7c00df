"""Searches side by side choose what they choose alone."""

import pytest

from prunekit.core import Best, Part, Problem
from prunekit.core.driver import Driver
from prunekit.engine.cost import CostCounter
from prunekit.engine.dry_run import dry_run_cost, made_up_loss, uses_chance
from prunekit.engine.lockstep import LockStep
from prunekit.engine.signals import synthetic_signals

N = 10


@pytest.fixture
def searches(registry):
    """Every built-in searcher with two budgets."""
    found = {}
    for entry in (e for e in registry.entries if e.kind == "searcher"):
        for budget in (2, 3):
            signals = synthetic_signals(entry.cls(), N)
            found[entry.name, budget] = entry.cls(), Problem(N, budget, seed=4, signals=signals)
    return found


def loss(subset):
    return made_up_loss(subset, N)


def run(lockstep):
    rounds = []

    def evaluate(wanted, share):
        rounds.append(wanted)
        return {subset: loss(subset) for subset in wanted}

    lockstep.run(evaluate)
    return rounds


def test_every_search_ends_as_it_does_alone(searches):
    lockstep = LockStep(searches)
    rounds = run(lockstep)
    assert lockstep.removed.keys() == searches.keys()
    for key, (searcher, problem) in searches.items():
        alone = Driver(searcher, problem).run(lambda subsets: [loss(s) for s in subsets])
        assert lockstep.removed[key] == alone.removed
        assert lockstep.costs[key].asked == alone.asked
    assert all(len(wanted) == len(set(wanted)) for wanted in rounds)


def test_the_cost_of_each_is_that_of_its_own_requests(searches):
    lockstep = LockStep(searches)
    run(lockstep)
    for key, (searcher, problem) in searches.items():
        cost, counter = dry_run_cost(searcher, problem), lockstep.costs[key]
        assert (counter.asked, counter.block_runs_unshared) == (
            cost.asked,
            cost.block_runs_unshared,
        )
        assert counter.block_runs == cost.block_runs - N  # a dry run measures the dense model too
        assert counter.block_runs == cost.block_runs_alone


def test_one_that_breaks_leaves_the_others_alone(registry):
    class Breaks:
        name = "breaks"

        def __init__(self, after):
            self.after = after

        def search(self, problem):
            for _ in range(self.after):
                yield [frozenset({1})]
            raise ValueError("on purpose")

    greedy = registry.get("searcher", "greedy").cls()
    problem = Problem(N, 3)
    lockstep = LockStep({0: (Breaks(0), problem), 1: (Breaks(2), problem), 2: (greedy, problem)})
    run(lockstep)
    assert set(lockstep.removed) == {2}
    assert set(lockstep.failed) == {0, 1}
    assert all("on purpose" in str(reason) for reason in lockstep.failed.values())


@pytest.mark.parametrize(
    ("name", "chance"),
    [
        ("one-shot", False),
        ("greedy", False),
        ("beam", False),
        ("cbo", False),
        ("fast-block-select", False),
        ("exhaustive", False),
        ("genetic", True),
        ("bayesian", True),
    ],
)
def test_searchers_that_use_chance_are_told_from_the_others(registry, name, chance):
    searcher = registry.get("searcher", name).cls()
    assert uses_chance(searcher, Problem(N, 3), [0, 1, 2]) is chance
    assert not uses_chance(searcher, Problem(N, 3), [7])


def test_chance_in_the_last_step_is_seen():
    class Last:
        name = "last"

        def search(self, problem):
            yield [frozenset({i}) for i in problem.removable]
            return frozenset(problem.rng().sample(problem.removable, problem.budget))

    assert uses_chance(Last(), Problem(N, 3), [0, 1])


def test_what_never_ends_counts_as_chance(monkeypatch):
    class Endless:
        name = "endless"

        def search(self, problem):
            while True:
                yield [frozenset({0})]

    monkeypatch.setattr("prunekit.engine.dry_run.MOST_SUBSETS", 20)
    assert uses_chance(Endless(), Problem(N, 3), [0, 1])


class Staged:
    """Look at all pairs on a quarter of the samples, at the best three on all of them."""

    name = "staged"

    def search(self, problem):
        pairs = [frozenset({i, i + 1}) for i in range(problem.n_blocks - 1)]
        losses = yield Part(pairs, share=0.25)
        best = [pair for _, pair in sorted(zip(losses, pairs, strict=True), key=lambda x: x[0])]
        losses = yield best[:3]
        return best[losses.index(min(losses))]


def test_requests_for_a_part_are_answered_beside_those_for_all(registry):
    problem = Problem(N, 2)
    shares = []

    def evaluate(wanted, share):
        shares.append(share)
        return {subset: loss(subset) + (share < 1) * max(subset) for subset in wanted}

    lockstep = LockStep(
        {
            "staged": (Staged(), problem),
            "greedy": (registry.get("searcher", "greedy").cls(), problem),
        }
    )
    lockstep.run(evaluate)
    assert shares[:2] == [0.25, 1.0]
    driver = lockstep.drivers["staged"]
    assert driver.ranked()[0] == driver.removed
    assert driver.losses == {subset: loss(subset) for subset in driver.losses}
    assert len(driver.losses) == 3


def test_a_part_costs_its_share_and_what_is_left_of_it_later():
    counter = CostCounter(n_blocks=4)
    counter.add(Part([frozenset({3}), frozenset({2})], share=0.5))
    assert (counter.block_runs, counter.seen) == (2, set())  # 0 and 1 once, then 2 or 3, halved
    counter.add([frozenset({2}), frozenset({3}), frozenset({0})])
    # 0 on the first half, runs three blocks; on the second 2 and 3 run four again, and 0 three
    assert counter.block_runs == round(2 + 3 / 2 + (4 + 3) / 2)
    assert counter.block_runs_unshared == (3 + 3) / 2 + 3 + 3 + 3
    assert counter.seen == {frozenset({i}) for i in (0, 2, 3)}


def test_a_race_answers_for_the_best_few_and_what_it_dropped_is_not_ranked(registry):
    problem = Problem(N, 1)
    greedy, one = (registry.get("searcher", name).cls() for name in ("greedy", "random"))
    lockstep = LockStep({"greedy": (greedy, problem), "random": (one, problem)})
    asked = []

    def evaluate(wanted, share):
        asked.append(wanted)
        return {subset: loss(subset) for subset in wanted}

    def race(request):
        assert isinstance(request, Best)
        assert request.winners == 1
        return {s: loss(s) for s in sorted(request, key=loss)[:2]}

    lockstep.run(evaluate, race=race)
    driver = lockstep.drivers["greedy"]
    assert driver.removed == min(driver.request or driver.requests, key=loss)
    assert driver.ranked() == sorted(driver.requests, key=loss)[:2]
    assert driver.asked == lockstep.costs["greedy"].asked == N
    alone = Driver(one, problem).run(lambda subsets: [loss(s) for s in subsets])
    assert [subset for wanted in asked for subset in wanted] == alone.requests
