"""Calibration as a factor of its own in the parts of a variance."""

import itertools

import numpy as np
import pytest

from prunekit.engine.study_folder import Cell, VariantEvaluation
from prunekit.plugins.commands.report.components import Components, components
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.figures.outcomes import variance
from prunekit.plugins.commands.report.share_tables import variance_tables
from prunekit.plugins.commands.report.sheets import sheets
from prunekit.plugins.commands.report.variance import OUTCOMES, variances

FACTORS = range(4)
"""the axes of objective, calibration, searcher and draw; that of the seed is the last"""


def squared(a, b):
    return (a - b) ** 2


def observed(values, there=lambda o, c: True):
    """Cells with `values[objective, calibration, searcher, draw, seed]`."""
    return [
        (Cell("m", f"o{o}", f"s{s}", 3, z, d, f"c{c}"), float(values[o, c, s, d, z]))
        for o, c, s, d, z in itertools.product(*map(range, values.shape))
        if there(o, c)
    ]


def of_condition(table):
    """Values that neither searcher, of two, nor draw, of two, changes."""
    return np.zeros((*np.shape(table), 2, 2, 1)) + np.array(table)[:, :, None, None, None]


def subsets(factors):
    return itertools.chain.from_iterable(
        itertools.combinations(factors, n) for n in range(len(factors) + 1)
    )


def random_effects(y):
    """Variances from mean squares, by the factors of the effect: four crossed, and seeds within.

    The expected mean square of an effect is the sum of the variances of all effects that include
    it, each times the number of values that share a level of that. (Montgomery, Design and Analysis
    of Experiments, chapter on random factors.)
    """

    def mean_square(factors):
        effect = sum(
            (-1) ** (len(factors) - len(some))
            * y.mean(tuple(axis for axis in range(5) if axis not in some), keepdims=True)
            for some in subsets(factors)
        )
        freedom = np.prod([y.shape[axis] - 1 for axis in factors])
        return (np.broadcast_to(effect, y.shape) ** 2).sum() / freedom

    squares = {frozenset(factors): mean_square(factors) for factors in subsets(FACTORS) if factors}
    seed = ((y - y.mean(4, keepdims=True)) ** 2).sum() / (y.size - y[..., 0].size)
    whole = frozenset(FACTORS)
    found = {frozenset(): seed}
    for factors in squares:
        sharing = y.size / np.prod([y.shape[axis] for axis in factors])
        more = sum((-1) ** len(s - factors) * x for s, x in squares.items() if s >= factors)
        error = -((-1) ** len(whole - factors)) * seed if factors == whole else 0.0
        found[factors] = (more + error) / sharing
    return found


def test_a_complete_grid_gives_what_an_analysis_of_variance_gives():
    chance = np.random.default_rng(0)
    values = chance.normal(size=(2, 3, 3, 3, 2)) + np.arange(3)[:, None, None, None]
    effects = random_effects(values)
    found = components(observed(values), squared)
    assert found.parts == pytest.approx(
        {
            "objective": effects[frozenset({0})],
            "calibration": effects[frozenset({1})],
            "calibration by objective": effects[frozenset({0, 1})],
            "searcher": effects[frozenset({2})],
            "together": sum(effects[frozenset(of)] for of in ({0, 2}, {1, 2}, {0, 1, 2})),
            "draw": sum(x for of, x in effects.items() if 3 in of),
            "seed": effects[frozenset()],
        }
    )
    assert found.total == pytest.approx(sum(effects.values()))


def test_by_hand_with_two_of_each():
    """Objective 1 adds 2, calibration 1 adds 4, both together 4 more, and searcher 1 adds 6.

    Half the mean squared differences are 10 for the objective, 20 for the calibration, 18 for the
    searcher, 26, 28 and 38 for two of them in that order, and 44 for all.
    """
    values = of_condition([[0, 4], [2, 10]])
    values[:, :, 1] += 6
    assert components(observed(values), squared) == Components(
        objective=44.0 - 38,
        calibration=44.0 - 28,
        calibration_by_objective=38.0 + 28 - 44 - 18,
        searcher=44.0 - 26,
        together=0.0,
        draw=0.0,
        seed=None,
    )


def test_shares_add_up_to_the_whole():
    values = np.random.default_rng(3).normal(size=(2, 2, 2, 2, 1))
    assert sum(components(observed(values), squared).shares.values()) == pytest.approx(1)


def test_with_one_searcher_the_parts_are_those_above_chance():
    values = of_condition([[0, 4], [2, 10]])[:, :, :1]
    found = components(observed(values), squared)
    assert found.parts == {
        "objective": 6.0, "calibration": 16.0, "calibration by objective": 4.0, "draw": 0.0
    }  # fmt: skip


def test_with_one_objective_calibration_is_the_condition():
    found = components(observed(of_condition([[0, 4]])), squared)
    assert found.parts == {"calibration": 8.0, "searcher": 0.0, "together": 0.0, "draw": 0.0}


@pytest.mark.parametrize(
    ("table", "part", "size"),
    [([[0, 4, 8], [0, 4, 8]], "calibration", 14.0), ([[0, 0, 0], [4, 4, 4]], "objective", 8.0)],
)
def test_a_calibration_that_only_one_objective_has_leaves_pairs_out(table, part, size):
    cells = observed(of_condition(table), there=lambda o, c: (o, c) != (1, 2))
    found = components(cells, squared)
    assert found.parts.pop(part) == size
    assert found.shares[part] == 1.0


def test_without_a_common_calibration_that_of_an_objective_is_within_it():
    """Objective 0 ends at 0 and 4, objective 1, with a calibration of its own, at 10."""
    cells = observed(of_condition([[0, 4, 0], [0, 0, 10]]), there=lambda o, c: (o == 1) == (c == 2))
    found = components(cells, squared)
    total, within = (100 + 36) / 2 / 2, 16 / 2
    assert (found.objective, found.calibration) == (total - within, within)
    assert found.calibration_by_objective is None
    assert found.total == total


def test_one_calibration_for_each_objective_cannot_be_told_from_it():
    found = components(observed(of_condition([[0, 0], [0, 4]]), there=lambda o, c: o == c), squared)
    assert found.parts == {"objective": 8.0, "searcher": 0.0, "together": 0.0, "draw": 0.0}


@pytest.fixture
def planted(by_hand):
    """A study in which only the calibration matters, as far as it has any."""

    def study(*labels):
        grid = itertools.product(("ppl", "margin"), ("greedy", "beam"), (0, 1), labels)
        chosen = {label: (i, 7) for i, label in enumerate(labels)}
        runs = [(Cell("m", o, s, 2, 0, d, c), chosen[c], 0.1) for o, s, d, c in grid]
        scores = [
            VariantEvaluation("m", removed, {"c4": 10.0 + 5 * i}, {"piqa": 0.6 + i / 10})
            for i, removed in enumerate(chosen.values())
        ]
        return read_study(by_hand(runs, scores).path)

    return study


def test_where_only_calibration_matters_all_is_due_to_it(planted):
    study = planted("small", "large")
    for outcome in OUTCOMES:
        (bar,) = variances(study, outcome).values()
        assert bar.shares == pytest.approx(
            {**dict.fromkeys(bar.parts, 0.0), "calibration": 1.0}, abs=1e-9
        )
        assert bar.total > 0
    picture = variance(study)
    assert (
        "the chosen blocks is due for 0% to the objective, for 100% to the calibration (by itself "
        "or depending on the objective), for 0% to the searcher (by itself or depending on the "
        "objective or calibration) and for 0% to mere draw and seed"
    ) in picture.sentence
    assert [*picture.key] == [
        "objective", "calibration", "calibration, depending on objective", "searcher",
        "searcher, depending on objective or calibration", "calibration draw",
    ]  # fmt: skip
    assert "calibration 100%" in picture.panels[0].alt
    heads = [column.name for column in variance_tables(study)[0].columns]
    assert heads == [
        "where", "objective", "calibration", "calibration by objective", "searcher", "together",
        "draw", "variance",
    ]  # fmt: skip


def test_every_run_names_its_calibration_where_a_study_has_any(planted):
    for labels, there in ((("small", "large"), True), (("",), False)):
        frame = {sheet.name: sheet.frame for sheet in sheets(planted(*labels))}["runs"]
        assert ("calibration" in frame) is there
        if there:
            rows = set(zip(frame["objective"], frame["calibration"], strict=True))
            assert ("ppl small", "small") in rows


def test_a_study_without_calibrations_has_no_such_part(planted):
    study = planted("")
    assert {*variances(study, OUTCOMES[0])["m, k = 2"].parts} == {
        "objective", "searcher", "together", "draw"
    }  # fmt: skip
    assert "calibration (" not in variance(study).sentence
    assert "searcher, depending on objective" in variance(study).key
