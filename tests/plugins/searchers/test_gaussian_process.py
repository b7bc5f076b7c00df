"""The Gaussian process, against one of scikit-learn that is fitted anew."""

import warnings

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from prunekit.plugins.searchers.gaussian_process import BOUNDS, GaussianProcess

START = 0.1, 2.0**0.5, 0.005


def rows_and_values(count, seed=0):
    chance = np.random.default_rng(seed)
    rows = np.zeros((count, 12))
    for row in rows:
        row[chance.choice(12, 4, replace=False)] = 1.0
    values = rows @ chance.normal(size=12) / 5 + rows[:, 0] * rows[:, 1]
    return rows, values + 0.01 * chance.normal(size=count)


def reference(theta, rows, values, optimizer=None):
    (variance, length, noise), bounds = np.exp(theta), BOUNDS
    kernel = ConstantKernel(variance, bounds[0]) * RBF(length, bounds[1])
    process = GaussianProcessRegressor(kernel + WhiteKernel(noise, bounds[2]), optimizer=optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return process.fit(rows, values)


def assert_same(process, rows, values, others):
    expected = reference(process.theta, rows, values)
    for found, right in zip(
        process.predict(values, others), expected.predict(others, return_std=True), strict=True
    ):
        np.testing.assert_allclose(found, right, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("steps", [[40], [30, 1, 1, 1, 7], [1] * 40])
def test_a_process_that_grew_predicts_like_one_made_at_once(steps):
    rows, values = rows_and_values(60)
    process, known = GaussianProcess(*START), 0
    for step in steps:
        process.add(rows[known : known + step])
        known += step
    assert len(process) == 40
    assert_same(process, rows[:40], values[:40], rows[40:])


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_that_of_scikit_learn_and_rows_are_added_to_it(seed):
    rows, values = rows_and_values(70, seed)
    process = GaussianProcess(*START)
    expected = reference(process.theta, rows[:40], values[:40], "fmin_l_bfgs_b")
    process.add(rows[:40])
    process.fit(values[:40])
    np.testing.assert_allclose(process.theta, expected.kernel_.theta, rtol=1e-3)
    process.add(rows[40:50])
    assert_same(process, rows[:50], values[:50], rows[50:])


def test_values_may_change_between_predictions():
    rows, values = rows_and_values(30)
    process = GaussianProcess(*START)
    process.add(rows[:20])
    process.fit(values[:20])
    process.add(rows[20:25])
    assert_same(process, rows[:25], values[:25] ** 2, rows[25:])


def test_between_fits_the_factor_is_computed_for_new_rows_alone(monkeypatch):
    import prunekit.plugins.searchers.gaussian_process as module

    sizes, cholesky = [], module._cholesky
    monkeypatch.setattr(module, "_cholesky", lambda m: sizes.append(len(m)) or cholesky(m))
    rows, _ = rows_and_values(30)
    process = GaussianProcess(*START)
    for part in (rows[:20], rows[20:21], rows[21:25]):
        process.add(part)
    assert sizes == [20, 1, 4]
