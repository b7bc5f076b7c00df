"""The parts of a variance, against values by hand and a textbook analysis of variance."""

import itertools

import numpy as np
import pytest

from prunekit.workflows.report.figures.variance import OUTCOMES, variances
from prunekit.workflows.report.reading import read_study
from prunekit.workflows.report.variance import Components, components, pooled
from prunekit.workflows.study.files import Cell


def squared(a, b):
    return (a - b) ** 2


def observed(values):
    """Cells of one model and budget with `values[objective, searcher, draw, seed]`."""
    return [
        (Cell("m", f"o{o}", f"s{s}", 3, z, d), float(values[o, s, d, z]))
        for o, s, d, z in itertools.product(*map(range, values.shape))
    ]


def analysis_of_variance(y):
    """Random effects from mean squares: draws within objectives, seeds within all.

    (Montgomery, Design and Analysis of Experiments, chapter on nested and crossed factors.)
    """
    a, b, c, m = y.shape
    mean = y.mean()
    of_o, of_s, of_os = y.mean((1, 2, 3)), y.mean((0, 2, 3)), y.mean((2, 3))
    of_od, of_osd = y.mean((1, 3)), y.mean(3)
    ms_o = b * c * m * ((of_o - mean) ** 2).sum() / (a - 1)
    ms_s = a * c * m * ((of_s - mean) ** 2).sum() / (b - 1)
    both = of_os - of_o[:, None] - of_s[None] + mean
    ms_os = c * m * (both**2).sum() / ((a - 1) * (b - 1))
    ms_d = b * m * ((of_od - of_o[:, None]) ** 2).sum() / (a * (c - 1))
    left = of_osd - of_os[:, :, None] - of_od[:, None, :] + of_o[:, None, None]
    ms_sd = m * (left**2).sum() / (a * (b - 1) * (c - 1))
    ms_seed = ((y - of_osd[..., None]) ** 2).sum() / (a * b * c * (m - 1))
    return {
        "objective": (ms_o - ms_d - ms_os + ms_sd) / (b * c * m),
        "searcher": (ms_s - ms_os) / (a * c * m),
        "together": (ms_os - ms_sd) / (c * m),
        "draw": (ms_d - ms_sd) / (b * m) + (ms_sd - ms_seed) / m,
        "seed": ms_seed,
    }


def test_a_complete_grid_gives_what_an_analysis_of_variance_gives():
    values = np.random.default_rng(0).normal(size=(3, 4, 3, 2)) + np.arange(3)[:, None, None, None]
    found = components(observed(values), squared)
    assert found.parts == pytest.approx(analysis_of_variance(values))
    assert found.total == pytest.approx(sum(found.parts.values()))


def test_what_only_the_objective_changes_is_due_to_it():
    values = np.zeros((2, 3, 2, 1)) + np.array([0.0, 4.0])[:, None, None, None]
    found = components(observed(values), squared)
    assert found == Components(objective=8.0, searcher=0.0, together=0.0, draw=0.0, seed=None)
    assert found.shares["objective"] == 1.0


def test_what_only_the_draw_changes_is_due_to_chance():
    """Objective and searcher get no share, though their sums of squares would not be nothing."""
    values = np.random.default_rng(1).normal(size=(2, 7, 40, 1))
    shares = components(observed(values), squared).shares
    assert shares["draw"] > 0.9


def test_by_hand_with_one_objective():
    """Searcher 0 ends at 0 and 2, searcher 1 at 5 and 5, for the two draws."""
    values = np.array([[[[0], [2]], [[5], [5]]]])
    found = components(observed(values), squared)
    draw = (4 + 0) / 2 / 2
    both = (25 + 9) / 2 / 2
    assert found == Components(None, both - draw, None, draw, None)
    assert found.shares == {"searcher": 7.5 / 8.5, "draw": 1 / 8.5}


def test_chosen_blocks_count_those_that_are_exchanged(by_hand):
    """One block of two changes with the draw, both with the objective."""
    runs = [
        (Cell("m", o, s, 2, 0, d), blocks[d], 0.1)
        for o, blocks in {"ppl": [(0, 1), (0, 2)], "margin": [(4, 5), (4, 6)]}.items()
        for s in ("greedy", "beam")
        for d in (0, 1)
    ]
    study = read_study(by_hand(runs).path)
    found = variances(study, OUTCOMES[0])["m, k = 2"]
    assert found == Components(objective=1.0, searcher=0.0, together=0.0, draw=1.0, seed=None)


def test_without_a_second_draw_nothing_is_known():
    assert components(observed(np.ones((2, 3, 1, 2))), squared) is None


def test_a_negative_part_has_no_share():
    found = Components(objective=-1.0, searcher=3.0, together=None, draw=1.0, seed=None)
    assert found.shares == {"objective": 0.0, "searcher": 0.75, "draw": 0.25}


def test_models_are_pooled_by_adding_their_parts():
    one = Components(1.0, 2.0, None, 3.0, 0.5)
    other = Components(3.0, 2.0, None, 1.0, 0.0)
    assert pooled([one, other]) == Components(4.0, 4.0, None, 4.0, 0.5)
    assert pooled([]) is None


def test_a_model_that_lacks_an_objective_so_far_does_not_hide_it_in_the_others():
    whole = Components(2.0, 1.0, 0.0, 1.0, None)
    unfinished = Components(None, 1.0, None, 9.0, None)
    assert pooled([whole, unfinished, whole]) == Components(4.0, 2.0, 0.0, 2.0, None)
