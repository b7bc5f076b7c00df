"""The parts of a variance, against values by hand and a textbook analysis of variance."""

import itertools

import numpy as np
import pytest
from scipy.stats import t as student

from prunekit.engine.study_folder import Cell
from prunekit.plugins.commands.report.components import Components, components, pooled
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.intervals import interval, shares_without_each
from prunekit.plugins.commands.report.variance import OUTCOMES, variances


def squared(a, b):
    return (a - b) ** 2


def observed(values):
    """Cells of one model and budget with `values[objective, searcher, draw, seed]`."""
    return [
        (Cell("m", f"o{o}", f"s{s}", 3, z, d), float(values[o, s, d, z]))
        for o, s, d, z in itertools.product(*map(range, values.shape))
    ]


def analysis_of_variance(y):
    """Random effects from mean squares: objectives, searchers and draws crossed, seeds within all.

    (Montgomery, Design and Analysis of Experiments, chapter on random factors.)
    """
    m = y.shape[3]

    def effect(factors):
        """Joint effect of the factors, beyond the effects of fewer of them."""
        total = np.zeros_like(y)
        for k in range(len(factors) + 1):
            for some in itertools.combinations(factors, k):
                others = tuple(axis for axis in range(4) if axis not in some)
                total += (-1) ** (len(factors) - k) * y.mean(others, keepdims=True)
        return total

    def mean_square(*factors):
        freedom = np.prod([y.shape[axis] - 1 for axis in factors])
        return (effect(factors) ** 2).sum() / freedom

    a, b, c = y.shape[:3]
    o, s, d, os, od, sd, osd = (
        mean_square(*factors) for k in (1, 2, 3) for factors in itertools.combinations(range(3), k)
    )
    seed = ((y - y.mean(3, keepdims=True)) ** 2).sum() / (a * b * c * (m - 1))
    return {
        "objective": (o - os - od + osd) / (b * c * m),
        "searcher": (s - os - sd + osd) / (a * c * m),
        "together": (os - osd) / (c * m),
        "draw": (d - od - sd + osd) / (a * b * m)
        + (od - osd) / (b * m)
        + (sd - osd) / (a * m)
        + (osd - seed) / m,
        "seed": seed,
    }


def test_a_complete_grid_gives_what_an_analysis_of_variance_gives():
    values = np.random.default_rng(0).normal(size=(3, 4, 3, 2)) + np.arange(3)[:, None, None, None]
    found = components(observed(values), squared)
    assert found.parts == pytest.approx(analysis_of_variance(values))
    assert found.total == pytest.approx(sum(found.parts.values()))


@pytest.mark.parametrize("shared", [False, True], ids=["own samples", "the same samples"])
def test_shares_are_unbiased_whether_objectives_share_their_samples_or_not(shared):
    chance = np.random.default_rng(2)
    found = []
    for _ in range(2000):
        of_objective = chance.normal(size=(2, 1, 1, 1))
        of_draw = chance.normal(size=(1 if shared else 2, 1, 2, 1))
        values = of_objective + of_draw + np.zeros((2, 2, 2, 1))
        found.append(components(observed(values), squared).parts)
    for part, truth in {"objective": 1.0, "draw": 1.0, "searcher": 0.0, "together": 0.0}.items():
        assert np.mean([parts[part] for parts in found]) == pytest.approx(truth, abs=0.15)


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


def test_the_interval_of_a_share_is_the_jackknifes_with_students_t():
    without = [{"draw": x, "seed": 0.1} for x in (0.3, 0.5, 0.4, 0.6)]
    centre = 0.45
    error = np.sqrt(3 / 4 * sum((x - centre) ** 2 for x in (0.3, 0.5, 0.4, 0.6)))
    half = student.ppf(0.975, 3) * error
    whole = {"draw": 0.45, "seed": 0.1}
    assert interval(whole, without, "draw") == pytest.approx((0.0, min(1.0, 0.45 + half)))
    assert interval(whole, without[:2], "draw") is None
    assert interval(whole, [{"draw": 0.45, "seed": 0.1}] * 3, "draw", "seed") == pytest.approx(
        (0.55, 0.55)
    )


def test_draws_are_left_out_of_a_condition_and_conditions_of_all(make_study, tmp_path):
    folder = make_study(tmp_path, models=("a",), budgets=(2, 3, 4), draws=(0, 1, 2), seeds=(0,))
    study = read_study(folder.path)
    bars = variances(study, OUTCOMES[0])
    found = shares_without_each(study, OUTCOMES[0], bars)
    assert {bar: len(of) for bar, of in found.items()} == dict.fromkeys(bars, 3)
    runs = study.where(budget=2)
    assert found["a, k = 2"][0] == OUTCOMES[0].components(runs[runs["draw"] != 0]).shares
    parts = [of for bar, of in bars.items() if bar != "all"]
    assert found["all"][0] == pooled(parts[1:]).shares


def test_two_draws_and_two_conditions_give_no_interval(make_study, tmp_path):
    study = read_study(make_study(tmp_path, models=("a",)).path)
    bars = variances(study, OUTCOMES[0])
    assert "all" in bars
    assert shares_without_each(study, OUTCOMES[0], bars) == {}
