"""Each figure says what the data says, and is left out if it would make no sense."""

import itertools
import re
from dataclasses import replace

import pytest

from prunekit.engine.study_folder import Cell, Importance, VariantEvaluation
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.drawing import (
    LeftOut,
    Panel,
    Picture,
    _own_settings,
    _whole,
    draw_files,
)
from prunekit.plugins.commands.report.figures.choices import (
    groups_of_neighbours,
    importance,
    masks,
)
from prunekit.plugins.commands.report.figures.costs import budgets, cost
from prunekit.plugins.commands.report.figures.finals import held_out, repeated
from prunekit.plugins.commands.report.figures.outcomes import spread, variance
from prunekit.plugins.commands.report.figures.pairs import agreement, overlap
from prunekit.plugins.commands.report.figures.progress import best_so_far
from prunekit.plugins.commands.report.figures.ranks import ranks
from prunekit.plugins.commands.report.measures import Condition
from prunekit.plugins.commands.report.page import _columns
from prunekit.plugins.commands.report.ranks import compare_ranks
from prunekit.plugins.commands.report.writing import FIGURES

SEARCHERS = ("one-shot", "greedy", "beam", "cbo")


def ranked(by_hand, perplexities, accuracies):
    """A study whose searchers, in order, have these scores."""
    cells = [Cell("m", "ppl", searcher, 1, 0, 0) for searcher in SEARCHERS]
    evaluations = [
        VariantEvaluation("m", (i,), {"c4": p}, {"piqa": a / 100})
        for i, (p, a) in enumerate(zip(perplexities, accuracies, strict=True))
    ]
    runs = [(cell, (i,), 0.1 * (i + 1)) for i, cell in enumerate(cells)]
    return read_study(by_hand(runs, evaluations).path)


@pytest.mark.parametrize("make", FIGURES)
def test_every_figure_of_a_whole_study_has_a_sentence_and_is_described_in_words(whole_study, make):
    picture = make(read_study(whole_study))
    assert isinstance(picture, Picture)
    assert picture.name == make.__name__
    assert re.fullmatch(r"[A-Z].*\d.*\.", picture.sentence)
    assert all(re.search(r"\d", panel.alt) for panel in picture.panels)
    assert len({panel.title for panel in picture.panels}) == len(picture.panels)


def test_spearman_by_hand(by_hand):
    """Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15)."""
    study = ranked(by_hand, [10, 20, 30, 40], [60, 70, 40, 50])
    found = compare_ranks(study, Condition("m", "ppl", 1))
    assert found.perplexity == (1, 2, 3, 4)
    assert found.accuracy == (2, 1, 4, 3)
    assert found.rho == pytest.approx(0.6)
    assert found.p == pytest.approx(10 / 24)  # of 24 orders: 1 + 3 + 1 at or above, as many below
    assert "ρ goes from +0.60 to +0.60" in ranks(study).sentence


def test_ties_share_a_rank_and_an_infinite_perplexity_is_the_worst(by_hand):
    study = ranked(by_hand, [10, 10, None, 40], [60, 70, 40, 50])
    found = compare_ranks(study, Condition("m", "ppl", 1))
    assert found.perplexity == (1.5, 1.5, 4, 3)


def test_other_data_says_something_else(by_hand):
    agreeing = ranks(ranked(by_hand, [10, 20, 30, 40], [70, 60, 50, 40])).sentence
    opposed = ranks(ranked(by_hand, [10, 20, 30, 40], [40, 50, 60, 70])).sentence
    assert "+1.00 to +1.00" in agreeing
    assert "negative in 0 of 1 condition," in agreeing
    assert "-1.00 to -1.00" in opposed
    assert "negative in 1 of 1 condition," in opposed


def test_ranks_that_all_tie_have_no_correlation(by_hand):
    study = ranked(by_hand, [10, 10, 10, 10], [70, 60, 50, 40])
    picture = ranks(study)
    assert (
        picture.sentence
        == "All searchers tie or choose alike, so that there is no rank to correlate."
    )
    assert "ρ undefined" in picture.panels[0].title


def test_the_spread_is_that_between_best_and_worst_searcher(by_hand):
    found = spread(ranked(by_hand, [10, 20, 30, 45], [70, 60, 50, 42])).sentence
    assert "searchers are on average 15.7 points of accuracy apart" in found
    assert "(the best and the worst of all searchers 28 to 28)" in found
    assert "on average 19.2 of perplexity apart" in found
    assert "35 to 35)" in found


def test_the_cost_of_the_best_is_given_beside_that_of_the_cheapest(by_hand):
    study = ranked(by_hand, [30, 20, 10, 40], [50, 60, 70, 40])
    picture = cost(replace(study, runs=study.runs.assign(seconds=[0.0, 2.0, 8.0, 4.0])))
    assert "needed 8 seconds, the cheapest one 0, and was 20 better" in picture.sentence
    assert b"log scale but for 0" in draw_files(picture)["svg"]


def test_where_no_time_is_known_block_forwards_are_the_cost(make_study, tmp_path):
    folder = make_study(tmp_path, models=("m",), draws=(0,), seeds=(0,))
    for cell in folder.cells():
        text = (folder.path / "cells" / f"{cell.id}.json").read_text()
        text = re.sub(r'"seconds": [\d.]+', '"seconds": null', text)
        (folder.path / "cells" / f"{cell.id}.json").write_text(text)
    assert "block forwards, the cheapest one" in cost(read_study(tmp_path)).sentence


def test_groups_of_neighbours_and_where_they_lie(by_hand):
    cell = Cell("m", "ppl", "greedy", 3, 0, 0)
    study = read_study(by_hand([(cell, (5, 6, 7), 0.1)]).path)
    assert groups_of_neighbours(frozenset({5, 6, 7})) == 1
    assert "under ppl 1 groups of neighbours at 86% of the depth" in masks(study).sentence
    assert masks(study).panels[0].alt.endswith("ppl, greedy: 5,6,7")


def test_the_key_explains_faint_cells_where_there_are_such(by_hand):
    cells = [Cell("m", "ppl", "genetic", 1, seed, 0) for seed in (0, 1)]
    agreed = read_study(by_hand([(cell, (5,), 0.1) for cell in cells]).path)
    assert list(masks(agreed).key) == ["removed under ppl"]
    torn = read_study(by_hand([(cell, (cell.seed,), 0.1) for cell in cells]).path)
    assert list(masks(torn).key)[1:] == ["fainter: only in some of its runs"]


def test_loss_against_budget_gives_the_means(by_hand):
    runs = [
        (Cell("m", "ppl", searcher, k, 0, 0), range(k), k * scale)
        for searcher, scale in (("greedy", 0.1), ("beam", 0.3))
        for k in (2, 4)
    ]
    found = budgets(read_study(by_hand(runs).path)).sentence
    assert "under ppl from 0.4 at 2 blocks to 0.8 at 4 (nats per token)" in found


def test_importance_compares_objectives_and_draws(by_hand):
    folder = by_hand([(Cell("m", o, "greedy", 1, 0, 0), (1,), 0.1) for o in ("ppl", "margin")])
    up, down = (3.1, 3.2, 3.3, 3.4), (3.4, 3.3, 3.2, None)
    for objective, draw, singles in (("ppl", 0, up), ("ppl", 1, up), ("margin", 0, down)):
        folder.write_importance(Importance("m", objective, draw, "nats", 3.0, singles))
    found = importance(read_study(folder.path)).sentence
    assert "+0.20 between two objectives and +1.00 between two draws of one objective" in found
    assert "0% to 67% of the way up" in found


def test_a_range_of_one_value_is_one_value(by_hand):
    folder = by_hand([(Cell("m", "ppl", "greedy", 1, 0, 0), (1,), 0.1)])
    folder.write_importance(Importance("m", "ppl", 0, "nats", 3.0, (3.4, 3.1, 3.2, 3.3)))
    found = importance(read_study(folder.path)).sentence
    assert found == "The cheapest block lies 33% of the way up."


@pytest.mark.parametrize(
    ("rows", "width", "columns"),
    [
        ((1,), 1, 1),
        ((1, 1), 1, 2),
        ((1,) * 9, 1, 4),
        ((1,) * 9, 3.3, 3),
        ((2, 2), 1, 4),
        ((2, 2), 3.3, 2),
        ((3, 3), 1, 3),
        ((6,), 4, 4),
    ],
)
def test_short_rows_share_a_line_of_the_page(rows, width, columns):
    """As far as their text can be read; what belongs together stays in a line in any case."""
    panel = Panel("", "", lambda axes: None)
    picture = Picture("", "", [[panel] * n for n in rows], (width, 1))
    assert _columns(picture) == columns


ONE = {"models": ("m",), "objectives": ("ppl",), "searchers": ("greedy",), "budgets": (3,)}


@pytest.mark.parametrize(
    ("draw", "how", "reason"),
    [
        (variance, {"draws": (0,)}, "one calibration draw only"),
        (variance, {"objectives": ("ppl",), "searchers": ("beam",)}, "one objective and one"),
        (spread, {"searchers": ("beam",)}, "one searcher only, beam"),
        (spread, {"evaluated": lambda model, removed: False}, "no variant was evaluated"),
        (cost, {"searchers": ("beam",)}, "one searcher only, beam"),
        (agreement, {"objectives": ("ppl",), "searchers": ("beam",)}, "one objective and one"),
        (budgets, {"budgets": (3,)}, "one budget only, 3"),
        (ranks, {"evaluated": lambda model, removed: False}, "no variant's accuracy"),
        (ranks, {"searchers": ("beam", "cbo")}, "nowhere do three searchers"),
        (importance, {"importances": False}, "no single removal"),
        (held_out, {}, "no search has finalists"),
        (repeated, {}, "no search has an estimate"),
        (repeated, {"draws": (0,), "held_out": True}, "another calibration draw"),
        (best_so_far, {"run": lambda cell: False}, "no search has kept its improvements"),
        (overlap, {**ONE, "seeds": (0,), "draws": (0,)}, "no two finished searches"),
    ],
)
def test_a_figure_that_makes_no_sense_is_left_out_with_the_reason(
    make_study, tmp_path, draw, how, reason
):
    found = draw(read_study(make_study(tmp_path, **how).path))
    assert isinstance(found, LeftOut)
    assert reason in found.reason


def test_a_model_of_which_nothing_is_known_leaves_no_empty_column(make_study, tmp_path):
    models = ("a", "b", "c")
    made = make_study(tmp_path, models=models, run=lambda c: c.model == "b", importances=False)
    study = read_study(made.path)
    drawn = [picture for draw in FIGURES if isinstance(picture := draw(study), Picture)]
    assert {"masks", "cost", "best_so_far", "budgets"} <= {picture.name for picture in drawn}
    for picture in drawn:
        assert all(row and all(row) for row in picture.rows)


@pytest.mark.parametrize("draw", FIGURES)
def test_no_title_is_cut_off_or_lies_on_the_next_panel(make_study, tmp_path, draw):
    models = ("SmolLM2-135M",)
    made = make_study(tmp_path, models=models, budgets=(4, 7), draws=(0, 1), held_out=True)
    picture = draw(read_study(made.path))
    with _own_settings():
        whole = _whole(picture)
        whole.draw_without_rendering()
        assert len(whole.axes) == len(picture.panels)
        width = whole.bbox.width / whole.axes[0].get_subplotspec().get_gridspec().ncols
        for axes in whole.axes:
            column = axes.get_subplotspec().colspan.start
            title = axes._left_title.get_window_extent()
            assert title.x1 <= (column + 1) * width + 1


def test_panels_that_are_one_below_the_other_share_the_width_of_a_paper(make_study, tmp_path):
    made = make_study(tmp_path, models=("one",), budgets=(2, 3))
    with _own_settings():
        places = [axes.get_subplotspec() for axes in _whole(masks(read_study(made.path))).axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1)]


@pytest.mark.parametrize("n_searchers", [1, 2, 3, 7])
def test_words_of_who_chooses_alike_do_not_lie_on_each_other(make_study, tmp_path, n_searchers):
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    names = ("one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select")
    study = make_study(tmp_path, searchers=names[:n_searchers])
    picture = agreement(read_study(study.path))
    figure = Figure(figsize=picture.size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(picture.panels[0].title, loc="left")
    picture.panels[0].draw(axes)
    figure.draw_without_rendering()
    words = [t for t in axes.findobj(Text) if t.get_visible() and t.get_text()]
    boxes = {f"{i} {t.get_text()}": t.get_window_extent() for i, t in enumerate(words)}
    assert len(boxes) >= 3 + 4 * n_searchers
    overlapping = [
        (a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])
    ]
    assert overlapping == []
