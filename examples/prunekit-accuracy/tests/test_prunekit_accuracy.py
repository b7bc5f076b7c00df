"""The objective keeps the contract, and counts what it says."""

import pytest
import torch
from prunekit_accuracy import Accuracy

from prunekit.core import IGNORE, Batch
from prunekit.core.testing import check_objective


class Says:
    """Gives every row one log-likelihood."""

    def __init__(self, *likelihoods):
        self.likelihoods = torch.tensor(likelihoods)

    def token_logprobs(self, targets):
        return torch.where(targets == IGNORE, 0.0, self.likelihoods[:, None])


def batch_of(*choices, right):
    """Return a batch of items with these numbers of choices."""
    rows = sum(choices)
    targets = torch.tensor([[IGNORE, 5]] * rows)
    extra = {"right": torch.tensor(right), "characters": torch.ones(rows)}
    sample = torch.repeat_interleave(torch.arange(len(choices)), torch.tensor(choices))
    ids = torch.zeros_like(targets)
    return Batch(ids, torch.ones_like(ids), targets, sample, len(choices), extra)


def test_the_contract_of_an_objective_is_kept():
    check_objective(Accuracy(data="demo", samples=8))


def test_an_item_is_right_when_its_answer_is_likelier_than_all_others():
    batch = batch_of(2, 3, 2, right=[True, False, False, True, False, True, False])
    sums, weights = Accuracy().measure(Says(-1.0, -2.0, -1.0, -2.0, -3.0, -4.0, -4.0), batch)
    assert sums.tolist() == [0, 1, 1]  # right; another is likelier; a tie
    assert weights.tolist() == [1, 1, 1]


def test_a_broken_model_is_not_a_good_one():
    batch = batch_of(2, right=[True, False])
    sums, _ = Accuracy().measure(Says(float("nan"), -2.0), batch)
    assert sums.isnan().all()


def test_the_reading_is_the_accuracy():
    assert Accuracy().readings(0.25) == {"accuracy (%)": pytest.approx(75)}
