"""A searcher that removes whole periods: every subset keeps the pattern, and the best is found."""

import itertools

import pytest

from prunekit.core import ConfigError, Problem
from prunekit.core.driver import Driver, check_problem
from prunekit.engine.dry_run import made_up_loss
from prunekit.engine.periods import PeriodSearch
from prunekit.engine.signals import synthetic_signals
from prunekit.plugins.searchers.signals import BLOCK_SIMILARITY, GATE_GRADIENTS, GATE_HESSIAN
from prunekit.testing import toy_loss

SHAPES = [(18, 6, 6), (18, 6, 12), (26, 6, 12), (8, 2, 2), (13, 4, 8), (12, 2, 4)]


def keeps(removed, n_blocks, period):
    """By counting: the kind that a block's new number gives it is the kind that it has."""
    kept = [i for i in range(n_blocks) if i not in removed]
    return all(block % period == number % period for number, block in enumerate(kept))


def in_runs(n_blocks, period, budget):
    """Every way to remove runs of whole periods at equal distances from each other."""
    for start in range(period):
        firsts = range(start, n_blocks - period + 1, period)
        for chosen in itertools.combinations(firsts, budget // period):
            yield frozenset(first + i for first in chosen for i in range(period))


def searched(searcher, problem, loss):
    asked = []

    def losses(subsets):
        asked.extend(subsets)
        return [loss(subset) for subset in subsets]

    return Driver(searcher, problem).run(losses).removed, asked


@pytest.mark.parametrize(("n_blocks", "period", "budget"), SHAPES)
def test_every_searcher_keeps_the_pattern_in_all_that_it_asks(registry, n_blocks, period, budget):
    for entry in (entry for entry in registry.entries if entry.kind == "searcher"):
        searcher = PeriodSearch(entry.cls(), period)
        signals = synthetic_signals(searcher, n_blocks)
        problem = Problem(n_blocks, budget, signals=signals)
        removed, asked = searched(searcher, problem, toy_loss)
        assert len(removed) == budget
        assert all(keeps(subset, n_blocks, period) for subset in [*asked, removed]), entry.name
        assert removed in set(in_runs(n_blocks, period, budget))


@pytest.mark.parametrize(("n_blocks", "period", "budget"), SHAPES)
def test_exhaustive_finds_the_best_of_all_runs(registry, n_blocks, period, budget):
    searcher = PeriodSearch(registry.get("searcher", "exhaustive").cls(), period)
    possible = set(in_runs(n_blocks, period, budget))

    def loss(removed):
        return made_up_loss(removed, n_blocks)

    removed, asked = searched(searcher, Problem(n_blocks, budget), loss)
    assert set(asked) == possible
    assert removed == min(possible, key=lambda s: (loss(s), sorted(s)))


def test_protected_blocks_stay(registry):
    for name in ("exhaustive", "genetic", "greedy"):
        searcher = PeriodSearch(registry.get("searcher", name).cls(), 4)
        problem = Problem(24, 8, protected=frozenset({0, 1, 13, 23}))
        removed, asked = searched(searcher, problem, toy_loss)
        assert not {0, 1, 13, 23} & frozenset().union(removed, *asked)


@pytest.mark.parametrize(
    ("budget", "protected", "possible"),
    [
        (4, (), "6, 12"),
        (13, (), "6, 12"),
        (12, (0, 1, 2, 3, 4, 12), "6"),
        (6, (5, 11, 14), "none"),
    ],
)
def test_a_budget_that_is_not_of_whole_periods_is_refused(registry, budget, protected, possible):
    searcher = PeriodSearch(registry.get("searcher", "greedy").cls(), 6)
    with pytest.raises(ConfigError, match=f"--keep-pattern .* choose one of: {possible}; or"):
        check_problem(searcher, Problem(18, budget, protected=frozenset(protected)))


def test_what_the_searcher_itself_refuses_is_refused_before_anything_is_loaded(registry):
    searcher = PeriodSearch(registry.get("searcher", "exhaustive").cls(most=2), 2)
    with pytest.raises(ConfigError, match="exhaustive would measure 3 subsets"):
        check_problem(searcher, Problem(7, 2))


class Curious:
    """Keeps the signals that it is given."""

    name = "curious"
    needs = (GATE_GRADIENTS, GATE_HESSIAN, BLOCK_SIMILARITY)

    def __init__(self, seen):
        self.seen = seen

    def search(self, problem):
        self.seen.append((problem.n_blocks, problem.signals))
        yield [frozenset({0})]
        return frozenset({0})


def test_signals_are_those_of_one_gate_for_a_run_and_of_what_enters_runs():
    """Of f(g) = a·g + g·B·g / 2, whose derivatives are known, with the gates of a run tied."""
    n, a = 5, [1.0, 2.0, 4.0, 8.0, 16.0]
    b = [[float(10 * i + j if i <= j else 10 * j + i) for j in range(n)] for i in range(n)]
    similar = [[100.0 * i + j for j in range(n + 1)] for i in range(n + 1)]
    seen = []
    signals = {"gate_gradients": [a, a], "gate_hessian": b, "block_similarity": similar}
    problem = Problem(n, 2, signals=signals)
    searched(PeriodSearch(Curious(seen), 2), problem, toy_loss)
    (first, of_first), (second, of_second) = seen
    assert (first, second) == (2, 2)
    assert of_first["gate_gradients"] == [[3.0, 12.0]] * 2
    assert of_second["gate_gradients"] == [[6.0, 24.0]] * 2
    assert of_first["gate_hessian"][0][1] == b[0][2] + b[0][3] + b[1][2] + b[1][3]
    assert of_second["gate_hessian"][0][0] == b[1][1] + b[1][2] + b[2][1] + b[2][2]
    assert of_first["block_similarity"][1] == [similar[2][j] for j in (0, 2, 4)]
    assert of_second["block_similarity"][2] == [similar[5][j] for j in (1, 3, 5)]
