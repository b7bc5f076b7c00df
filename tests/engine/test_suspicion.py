"""The remark on a pruned model that beats the dense one."""

import pytest

from prunekit.engine.reading import Difference
from prunekit.engine.suspicion import suspicion


def test_it_states_the_difference_its_error_and_the_next_step():
    assert suspicion(Difference(-0.41, 0.05), "nats per item", "margin") == (
        "the pruned model beats the dense one by 0.41 ± 0.05 nats per item: a loss that can be "
        "gamed, or chance; evaluate held-out data before you trust it, or search with --objective "
        "choice"
    )


def test_who_searched_with_choice_is_not_sent_there():
    said = suspicion(Difference(-0.41, 0.05), "nats per item", "choice")
    assert said.endswith("evaluate held-out data before you trust it")


@pytest.mark.parametrize(
    "difference",
    [
        Difference(-0.1, 0.05),
        Difference(-0.05, 0.05),
        Difference(0.41, 0.05),
        Difference(0.0, 0.0),
        Difference(-0.41, None),
        Difference(None, None),
    ],
)
def test_less_than_two_standard_errors_or_an_unknown_error_say_nothing(difference):
    assert suspicion(difference, "nats per item") == ""


def test_neither_does_rounding():
    assert suspicion(Difference(-9e-6, 1e-9), "nats per item") == ""


def test_more_than_two_do():
    assert suspicion(Difference(-0.1001, 0.05), "nats per item")
    assert suspicion(Difference(-0.1, 0.0), "nats per item")
