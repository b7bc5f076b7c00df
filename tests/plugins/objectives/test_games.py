"""Models that win the margin without answering better, and what tells them from good ones."""

import pytest

from prunekit.core.measurement import Measurement, loss_of
from prunekit.engine.reading import Difference
from prunekit.engine.statistics import difference_error
from prunekit.engine.suspicion import suspicion
from prunekit.plugins.objectives.choice import Choice
from prunekit.plugins.objectives.margin import Margin

DENSE = [[-1.0, -1.6, -1.5]] * 16 + [[-2.0, -1.0, -3.0]] * 4
"""Twenty items, of which the dense model answers sixteen right."""
INFLATED = [[10 * x for x in item] for item in DENSE]
"""The same answers with ten times the spread."""
WIDE = [[-1.0, -9.0]]
NARROW = [[-1.0, -1.4], [-1.2, -1.7], [-1.1, -1.6]]


def accuracy(items):
    return sum(item[0] > max(item[1:]) for item in items) / len(items)


@pytest.fixture
def gain(measured):
    """How much lower the loss of a pruned model is than that of the dense one."""

    def of(objective, pruned, dense):
        both = []
        for items in (pruned, dense):
            sums, weights = measured(objective, items, dense)
            both.append(Measurement(tuple(sums.tolist()), tuple(map(float, weights.tolist()))))
        value = loss_of(both[0], objective.reduce) - loss_of(both[1], objective.reduce)
        return Difference(value, difference_error(*both, objective.reduce))

    return of


def test_a_model_that_only_spreads_likelihoods_wins_the_margin_and_loses_the_choice(gain):
    assert accuracy(INFLATED) == accuracy(DENSE)
    assert gain(Margin(), INFLATED, DENSE).value < -1
    assert gain(Choice(), INFLATED, DENSE).value > 0.5


def test_its_own_spread_takes_the_gain_away(gain):
    assert gain(Margin(scale="own"), INFLATED, DENSE).value == pytest.approx(0)


def test_the_dense_spread_does_not_where_all_items_are_inflated_alike(gain):
    assert gain(Margin(scale="dense"), INFLATED, DENSE).value < -1


def test_a_model_that_wins_one_wide_item_and_loses_the_rest_gains_by_the_plain_margin_only(gain):
    dense = WIDE + NARROW
    pruned = [[-1.0, -13.0]] + [item[::-1] for item in NARROW]
    assert accuracy(pruned) < accuracy(dense)
    assert gain(Margin(), pruned, dense).value < 0
    for other in (Margin(scale="dense"), Margin(scale="own"), Choice()):
        assert gain(other, pruned, dense).value > 0


def test_the_game_is_flagged_under_the_margin_and_nowhere_else(gain):
    said = suspicion(gain(Margin(), INFLATED, DENSE), Margin.unit, "margin")
    assert said.startswith("the pruned model beats the dense one by ")
    assert said.endswith("or search with --objective choice")
    assert not suspicion(gain(Choice(), INFLATED, DENSE), Choice.unit, "choice")
    assert not suspicion(gain(Margin(scale="own"), INFLATED, DENSE), Margin.unit, "margin")
