"""Likelihoods of options, given directly instead of by a model."""

import pytest
import torch

from prunekit.core import IGNORE, Batch


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """What an objective measures is the same whether or not the model was proven before."""


class GivenLikelihoods:
    """Predicts given log-likelihoods, one for each row of one target."""

    def __init__(self, rows):
        self.rows = rows

    def token_logprobs(self, targets):
        return torch.where(targets == IGNORE, 0.0, self.rows[:, None])


@pytest.fixture
def measured():
    """Sums and weights of an objective on items, given as lists of likelihoods, the right first.

    `dense` are those of the dense model, as `prepare` sees them.
    """

    def measure(objective, items, dense=None):
        sizes = [len(item) for item in items]
        sample = torch.repeat_interleave(torch.arange(len(items)), torch.tensor(sizes))
        first = torch.tensor([i == 0 for size in sizes for i in range(size)])
        targets = torch.tensor([[1, IGNORE]] * len(sample))
        extra = {"right": first, "characters": torch.ones(len(sample), dtype=torch.long)}
        batch = Batch(targets, torch.ones_like(targets), targets, sample, len(items), extra)
        if objective.prepares():
            kept = objective.prepare(batch, output(dense or items))
            assert all(len(tensor) == len(sample) for tensor in kept.values())
            batch.extra.update(kept)
        given = output(items)
        return objective.measure(given, batch)

    def output(items):
        flat = [torch.as_tensor(x, dtype=torch.float64) for item in items for x in item]
        return GivenLikelihoods(torch.stack(flat))

    return measure
