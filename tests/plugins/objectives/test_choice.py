"""The cross-entropy of right answers, against SciPy and by hand."""

import math

import pytest
import torch
from scipy.special import log_softmax

from prunekit.core import IGNORE
from prunekit.core.measurement import mean_loss
from prunekit.hf.tokens import batches_of
from prunekit.plugins.objectives.choice import Choice

ITEMS = [[-1.0, -2.0, -4.0], [-5.0, -3.0], [0.5, 0.5, 0.5, 0.5]]


def test_an_item_costs_minus_the_log_softmax_of_its_right_option(measured):
    sums, weights = measured(Choice(), ITEMS)
    assert sums.tolist() == pytest.approx([-log_softmax(item)[0] for item in ITEMS])
    assert weights.tolist() == [1, 1, 1]


def test_a_guess_costs_the_logarithm_of_the_number_of_options(measured):
    assert measured(Choice(), [[-2.0] * 4])[0].item() == pytest.approx(math.log(4))


def test_only_differences_between_options_count(measured):
    shifted = [[x - 100 for x in item] for item in ITEMS]
    assert measured(Choice(), shifted)[0].tolist() == pytest.approx(
        measured(Choice(), ITEMS)[0].tolist()
    )


def test_certainty_costs_nothing_and_certainty_of_the_wrong_one_its_gap(measured):
    sums, _ = measured(Choice(), [[0.0, -1e4], [-1e4, 0.0]])
    assert sums.tolist() == [0, 1e4]


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_it_is_proper_the_true_probability_has_the_best_mean(measured, share):
    """Of ten items that look alike, `share` have the first option as right one."""
    rights = round(10 * share)

    def loss(p):
        logs = [math.log(p), math.log(1 - p)]
        items = [logs] * rights + [logs[::-1]] * (10 - rights)
        return mean_loss(*(x.tolist() for x in measured(Choice(), items)))

    forecasts = [i / 100 for i in range(1, 100)]
    assert min(forecasts, key=loss) == pytest.approx(share)


def test_its_gradient_is_the_softmax_less_the_right_option(measured):
    likelihoods = torch.tensor([-1.0, -2.0, -4.0], dtype=torch.float64, requires_grad=True)
    sums, _ = measured(Choice(), [list(likelihoods)])
    (slope,) = torch.autograd.grad(sums.sum(), likelihoods)
    expected = likelihoods.detach().softmax(0) - torch.tensor([1.0, 0.0, 0.0])
    assert slope.tolist() == pytest.approx(expected.tolist())


def test_its_reading_is_the_geometric_mean_of_the_right_options_probabilities(measured):
    sums, weights = measured(Choice(), ITEMS)
    loss = mean_loss(sums.tolist(), weights.tolist())
    product = math.prod(math.exp(-x) for x in sums.tolist())
    (reading,) = Choice().readings(loss).values()
    assert reading == pytest.approx(100 * product ** (1 / 3))
    assert Choice().readings(math.inf) == {"probability (%)": 0}


def test_the_norms_apply_before_the_softmax(demo_tokenizer):
    class Alike:
        def token_logprobs(self, targets):
            return torch.where(targets == IGNORE, 0.0, -2.0)

    (batch,) = batches_of(Choice(data="demo", samples=4).calibration_set(demo_tokenizer), 10**6)
    assert Choice().measure(Alike(), batch)[0].tolist() == pytest.approx([math.log(4)] * 4)
    tokens = (batch.targets != IGNORE).sum(1)
    expected = [
        -log_softmax(-2.0 * tokens[rows].numpy())[batch.extra["right"][rows].numpy()].item()
        for rows in (batch.sample == i for i in range(4))
    ]
    found = Choice(norm="sum").measure(Alike(), batch)[0].tolist()
    assert found == pytest.approx(expected)
