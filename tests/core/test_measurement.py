"""From per-sample numbers to a loss and its standard error."""

import math
import random
import statistics

import pytest

from prunekit.core.measurement import Measurement, loss_of, mean_loss
from prunekit.engine.statistics import difference_error, ratio_difference_error


def test_the_loss_is_the_sum_of_sums_over_the_sum_of_weights():
    assert loss_of(Measurement((3.0, 5.0), (1.0, 3.0)), mean_loss) == 2.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_the_worst_never_the_best(bad):
    assert loss_of(Measurement((3.0, bad), (1.0, 1.0)), mean_loss) == math.inf
    assert loss_of(Measurement((3.0, 4.0), (1.0, 1.0)), lambda sums, weights: bad) == math.inf


def test_with_equal_weights_the_error_is_that_of_paired_differences():
    rng = random.Random(0)
    a = tuple(rng.random() for _ in range(20))
    b = tuple(rng.random() for _ in range(20))
    weights = (1.0,) * 20
    differences = [x - y for x, y in zip(a, b, strict=True)]
    expected = statistics.stdev(differences) / math.sqrt(20)
    found = difference_error(Measurement(a, weights), Measurement(b, weights), mean_loss)
    assert found == pytest.approx(expected)


def test_with_unequal_weights_the_error_is_that_of_repeated_draws():
    rng = random.Random(0)

    def draw(n):
        weights = tuple(float(rng.randint(50, 150)) for _ in range(n))
        low = tuple(rng.gauss(3, 0.5) * w for w in weights)
        high = tuple(x + rng.gauss(0.2, 0.1) * w for x, w in zip(low, weights, strict=True))
        return Measurement(high, weights), Measurement(low, weights)

    pairs = [draw(30) for _ in range(400)]
    gaps = [loss_of(a, mean_loss) - loss_of(b, mean_loss) for a, b in pairs]
    errors = [difference_error(a, b, mean_loss) for a, b in pairs]
    assert statistics.mean(errors) == pytest.approx(statistics.stdev(gaps), rel=0.1)


def test_no_error_is_told_where_a_loss_is_not_finite_or_a_sample_stands_alone():
    good, bad = Measurement((1.0, 2.0), (1.0, 1.0)), Measurement((1.0, math.inf), (1.0, 1.0))
    assert difference_error(good, bad, mean_loss) is None
    assert (
        difference_error(Measurement((1.0,), (1.0,)), Measurement((2.0,), (1.0,)), mean_loss)
        is None
    )


@pytest.mark.parametrize("of", [lambda loss: loss, math.exp])
def test_of_a_ratio_the_error_in_one_pass_is_that_of_leaving_out_each_sample(of):
    rng = random.Random(1)
    weights = tuple(float(rng.randint(50, 150)) for _ in range(40))
    a, b = (Measurement(tuple(rng.gauss(3, 1) * w for w in weights), weights) for _ in range(2))
    slow = difference_error(a, b, lambda sums, weights: of(mean_loss(sums, weights)))
    assert ratio_difference_error(a, b, of) == pytest.approx(slow, rel=1e-9)


def test_of_a_ratio_no_error_is_told_where_a_loss_is_not_finite_or_a_sample_stands_alone():
    good, bad = Measurement((1.0, 2.0), (1.0, 1.0)), Measurement((1.0, math.inf), (1.0, 1.0))
    alone = Measurement((1.0,), (1.0,))
    assert ratio_difference_error(good, bad) is None
    assert ratio_difference_error(alone, alone) is None
