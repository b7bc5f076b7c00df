"""Curves of the best loss so far, by hand."""

from dataclasses import replace

import pytest

from prunekit.engine.best_so_far import Improvement
from prunekit.engine.study_folder import Cell
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.drawing import LeftOut, draw_files
from prunekit.plugins.commands.report.figures.progress import best_so_far
from prunekit.plugins.commands.report.progress import curves


@pytest.fixture
def study_of(by_hand):
    """Write a study: by searcher, for each draw the improvements of a search of 36 forwards."""

    def write(found):
        runs = {
            Cell("m", "ppl", searcher, 2, 0, draw): pairs
            for searcher, of in found.items()
            for draw, pairs in enumerate(of)
        }
        folder = by_hand([(cell, (1, 2), 0.1) for cell in runs])
        for cell, pairs in runs.items():
            improvements = tuple(Improvement(*pair) for pair in pairs)
            folder.write_cell(replace(folder.cell(cell), improvements=improvements))
        return read_study(folder.path)

    return write


def test_a_curve_is_the_mean_of_steps_from_where_all_have_one(study_of):
    study = study_of({"greedy": [[(10, 1.0), (20, 0.5)], [(4, 3.0), (12, 2.0), (30, 1.5)]]})
    curve = curves(study)["greedy"]
    assert curve.block_runs == [10, 12, 20, 30, 36]
    assert curve.differences == [(1 + 3) / 2, (1 + 2) / 2, (0.5 + 2) / 2, (0.5 + 1.5) / 2, 1.0]


def test_what_was_found_at_the_end_is_one_point(study_of):
    curve = curves(study_of({"one-shot": [[(36, 0.4)]]}))["one-shot"]
    assert (curve.block_runs, curve.differences) == ([36], [0.4])


def test_searches_of_an_older_study_are_left_out(study_of):
    study = study_of({"greedy": [[(10, 1.0)], []], "beam": [[(9, 2.0)], [(8, 1.0)]]})
    assert curves(study).keys() == {"beam"}
    older = best_so_far(study_of({"greedy": [[]]}))
    assert isinstance(older, LeftOut)
    assert "no search has kept its improvements" in older.reason


def test_the_figure_says_when_searches_are_done(study_of):
    of_beam = [[(9, 2.0), (18, 1.0)], [(9, 2.0), (36, 1.0)]]
    picture = best_so_far(study_of({"one-shot": [[(36, 0.4)]], "beam": of_beam}))
    assert picture.sentence == (
        "Of its block forwards, a search that improves has on average run 75% under ppl when it "
        "finds its lowest loss."
    )
    (panel,) = picture.panels
    assert "one-shot: from 0.4 at 36 block forwards to 0.4 at 36" in panel.alt
    assert "beam: from 2 at 9 block forwards to 1 at 36" in panel.alt
    assert draw_files(picture)["png"]


def test_a_search_that_costs_nothing_is_drawn_at_nought(study_of):
    picture = best_so_far(study_of({"angular": [[(0, 0.4)]], "beam": [[(9, 2.0), (18, 1.0)]]}))
    assert "has on average run 50% under ppl when" in picture.sentence
    assert draw_files(picture)["png"]
