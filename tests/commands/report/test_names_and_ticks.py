"""Texts are named without their folders, and the labels of wide axes do not lie on each other."""

import itertools

import pytest

from prunekit.engine.study_folder import Cell, VariantEvaluation
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.figures.costs import cost
from prunekit.plugins.commands.report.figures.outcomes import spread
from prunekit.plugins.commands.report.names import without_folders
from prunekit.plugins.commands.report.sheets import sheets
from prunekit.plugins.commands.report.tables import perplexity_tables
from prunekit.plugins.commands.report.ticks import log_ticks


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["c4", "wikitext2"], ["c4", "wikitext2"]),
        (["/data/held-out.txt", "c4"], ["held-out.txt", "c4"]),
        (["lambada=/data/l.jsonl", "/data/l.jsonl"], ["lambada=l.jsonl", "l.jsonl"]),
        (["/a/x/t.txt", "/a/y/t.txt", "/b/y/t.txt"], ["x/t.txt", "a/y/t.txt", "b/y/t.txt"]),
        (["t.txt", "./t.txt"], ["t.txt", "./t.txt"]),
        (["/a/t.txt", "a/t.txt"], ["/a/t.txt", "a/t.txt"]),
    ],
)
def test_a_path_is_its_shortest_end_that_no_other_has(names, short):
    assert list(without_folders(names).values()) == short


def test_no_folder_is_in_the_head_of_a_column(by_hand):
    path = "/home/someone/texts/held-out.txt"
    cell = Cell("m", "ppl", "greedy", 1, 0, 0)
    study = read_study(
        by_hand([(cell, (1,), 0.1)], [VariantEvaluation("m", (1,), {path: 9.0})]).path
    )
    assert [c.name for c in perplexity_tables(study)[0].columns][2:] == ["held-out.txt", "average"]
    for sheet in sheets(study):
        assert not any("someone" in text for text in sheet.files.values())


@pytest.mark.parametrize(
    ("low", "high", "inches", "ticks"),
    [
        (9, 130, 1.9, [10, 20, 50, 100]),
        (1, 1e6, 1.9, [1, 100, 1e4, 1e6]),
        (3, 4, 1.9, [3, 3.2, 3.4, 3.6, 3.8, 4]),
        (48, 76, 1.9, [50, 55, 60, 65, 70, 75]),
        (14_318, 92_054, 1.9, [20_000, 50_000]),
        (100.1, 100.2, 0.1, [100.15]),
    ],
)
def test_ticks_are_round_and_have_room(low, high, inches, ticks):
    assert log_ticks(low, high, inches) == pytest.approx(ticks)


SCALES = [1.2, 2.5, 12, 150, 4e3, 1e5, 1e7, 1e10]


@pytest.mark.parametrize("widest", SCALES)
@pytest.mark.parametrize("make", [cost, spread])
def test_labels_do_not_lie_on_each_other_however_wide_the_axis(by_hand, make, widest):
    from matplotlib.figure import Figure

    names = ("one-shot", "greedy", "beam", "cbo")
    runs = [(Cell("m", "ppl", s, 1, 0, 0), (i,), 0.1) for i, s in enumerate(names)]
    values = [7.3 * widest ** (i / 3) for i in range(4)]
    scores = [VariantEvaluation("m", (i,), {"c4": x}) for i, x in enumerate(values)]
    study = read_study(by_hand(runs, scores).path)
    study.runs["seconds"] = values
    picture = make(study)
    figure = Figure(figsize=picture.size, layout="constrained")
    axes = figure.add_subplot()
    picture.panels[0].draw(axes)
    figure.draw_without_rendering()
    axis = axes.xaxis if make is cost else axes.yaxis
    low, high = axis.get_view_interval()
    shown = [
        label
        for value, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        if low <= value <= high
    ]
    boxes = [label.get_window_extent() for label in shown]
    assert len(boxes) >= 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
