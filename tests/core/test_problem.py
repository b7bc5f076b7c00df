"""What a searcher is told."""

import pytest

from prunekit.core import ConfigError, Problem


def test_protected_blocks_cannot_be_removed():
    assert Problem(5, 2, protected=frozenset({0, 4})).removable == (1, 2, 3)


@pytest.mark.parametrize("budget", [-1, 0, 4, 9])
def test_a_budget_must_leave_room(budget):
    with pytest.raises(ConfigError, match="with 2 protected, 1 to 3 can be removed"):
        Problem(5, budget, protected=frozenset({0, 4}))


def test_not_all_blocks_can_be_removed():
    with pytest.raises(ConfigError, match="1 to 4 can be removed"):
        Problem(5, 5)


def test_all_blocks_protected_is_an_error_of_its_own():
    with pytest.raises(ConfigError, match="all of the 3 blocks are protected"):
        Problem(3, 1, protected=frozenset(range(3)))


def test_chance_begins_anew_with_every_generator():
    problem = Problem(5, 2, seed=7)
    assert problem.rng().random() == problem.rng().random()
