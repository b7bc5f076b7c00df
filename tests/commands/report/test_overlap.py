"""Overlap of subsets, against values by hand and by listing every pair."""

import itertools
from statistics import fmean

import pytest

from prunekit.engine.study_folder import Cell
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.overlap import (
    agreement,
    jaccard,
    jaccard_by_chance,
    overlaps,
)


def by_factor(found):
    return {o.factor: o for o in found}


@pytest.mark.parametrize(("n_blocks", "budget"), [(5, 1), (6, 2), (6, 3)])
def test_chance_is_the_mean_over_all_pairs_of_subsets(n_blocks, budget):
    subsets = list(map(frozenset, itertools.combinations(range(n_blocks), budget)))
    mean = fmean(jaccard(a, b) for a in subsets for b in subsets)
    assert jaccard_by_chance(n_blocks, budget) == pytest.approx(mean)


def test_pairs_differ_in_one_thing_only(by_hand):
    runs = [
        (Cell("a", "ppl", "greedy", 2, 0, 0), (1, 2), 0.1),
        (Cell("a", "ppl", "beam", 2, 0, 0), (1, 3), 0.1),
        (Cell("a", "margin", "beam", 2, 0, 0), (4, 5), 0.1),
        (Cell("b", "margin", "beam", 2, 0, 0), (4, 5), 0.1),
        (Cell("b", "margin", "beam", 2, 0, 1), (4, 6), 0.1),
        (Cell("b", "margin", "beam", 3, 0, 1), (4, 6, 7), 0.1),
    ]
    found = by_factor(overlaps(read_study(by_hand(runs).path)))
    assert {factor: o.values for factor, o in found.items()} == {
        "searcher": (pytest.approx(1 / 3),),
        "objective": (0.0,),
        "model": (1.0,),
        "draw": (pytest.approx(1 / 3),),
    }
    assert found["draw"].by_chance == jaccard_by_chance(8, 2)


def test_a_searcher_without_chance_is_compared_with_every_seed(by_hand):
    greedy = Cell("a", "ppl", "greedy", 1, 0, 0)
    genetic = [Cell("a", "ppl", "genetic", 1, seed, 0) for seed in (0, 1)]
    runs = [(greedy, (1,), 0.1), (genetic[0], (1,), 0.1), (genetic[1], (2,), 0.1)]
    study = read_study(by_hand(runs).path)
    found = by_factor(overlaps(study))
    assert found["searcher"].values == (0.0, 1.0)
    assert found["seed"].values == (0.0,)
    matrix = agreement(study, "a", 1)
    assert matrix["ppl", "greedy"]["ppl", "genetic"] == 0.5
    assert matrix["ppl", "genetic"]["ppl", "greedy"] == 0.5
    assert matrix["ppl", "genetic"]["ppl", "genetic"] == 0.0
    assert ("ppl", "greedy") not in matrix["ppl", "greedy"]


def test_a_searcher_without_chance_is_compared_with_itself_on_other_draws_only(by_hand):
    greedy = [(Cell("a", "ppl", "greedy", 1, 0, draw), (draw,), 0.1) for draw in (0, 1)]
    genetic = [
        (Cell("a", "ppl", "genetic", 1, seed, draw), (1,), 0.1)
        for seed in (0, 1, 2)
        for draw in (0, 1)
    ]
    matrix = agreement(read_study(by_hand([*greedy, *genetic]).path), "a", 1)
    assert matrix["ppl", "greedy"]["ppl", "greedy"] == 0.0
    assert matrix["ppl", "genetic"]["ppl", "genetic"] == 1.0
    assert matrix["ppl", "greedy"]["ppl", "genetic"] == 0.5


def test_models_of_different_depth_are_not_compared(make_study, tmp_path):
    folder = make_study(tmp_path, models=("a",), n_blocks=16).path
    make_study(tmp_path, models=("b",), n_blocks=20)
    make_study(tmp_path, models=("a", "b"), run=lambda cell: False)
    study = read_study(folder)
    assert set(study.runs["n_blocks"]) == {16, 20}
    assert "model" not in by_factor(overlaps(study))
