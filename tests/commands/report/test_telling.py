"""What cannot be told apart has no mark and no rank of its own."""

import json
import math
import shutil

import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from prunekit.engine.paired import mcnemar
from prunekit.engine.study_folder import Cell, VariantEvaluation
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.figures.outcomes import spread
from prunekit.plugins.commands.report.figures.ranks import ranks
from prunekit.plugins.commands.report.measures import Condition
from prunekit.plugins.commands.report.ranks import compare_ranks
from prunekit.plugins.commands.report.style import BLUE, ORANGE
from prunekit.plugins.commands.report.tables import accuracy_tables, overview, perplexity_tables
from prunekit.plugins.commands.report.telling import alike, not_the_best

SEARCHERS = ("one-shot", "greedy", "beam")
HERE = Condition("m", "margin", 1)


def cells(searchers=SEARCHERS, objective="margin", draws=(0,)):
    return [Cell("m", objective, s, 1, 0, d) for s in searchers for d in draws]


@pytest.fixture
def scored(by_hand):
    """Searchers whose choices have these accuracies, in percent, with errors: `scored(3.0, 60)`."""

    def write(error, *accuracies):
        runs = [(cell, (i,), 0.1 * i) for i, cell in enumerate(cells())]
        errors = {} if error is None else {"piqa": error / 100}
        scores = [
            VariantEvaluation("m", (i,), {"c4": 10.0 + i}, {"piqa": x / 100}, errors)
            for i, x in enumerate(accuracies)
        ]
        return by_hand(runs, scores)

    return write


def marks(table):
    return [row[-1].mark for section in table.sections for row in section]


def test_the_best_is_bold_only_if_all_others_can_be_told_from_it(scored):
    (clear,) = overview(read_study(scored(2.0, 70, 50, 40).path))
    assert marks(clear) == ["", "", "best", "", ""]
    assert "told apart" not in clear.title
    (close,) = overview(read_study(scored(2.0, 70, 66, 40).path))
    assert "best" not in marks(close)
    assert "nothing is marked where the best cannot be told apart from another at 5%" in close.title


def test_without_pairs_the_errors_of_both_are_added_and_corrected_for_all(scored):
    found = not_the_best(read_study(scored(2.0, 70, 64, 62).path), HERE, "accuracy", True)
    by_hand = [2 * norm.sf(gap / math.hypot(2, 2)) for gap in (6, 8)]
    assert found == pytest.approx({"greedy": by_hand[0], "beam": 2 * by_hand[1]})


def test_without_any_error_the_best_is_marked_as_it_is(scored):
    (table,) = overview(read_study(scored(None, 70, 69, 40).path))
    assert "best" in marks(table)


def test_a_loss_is_judged_by_its_samples(scored):
    """Above dense by 0, 0.1 and 0.2, each with an error of 0.01."""
    (table,) = accuracy_tables(read_study(scored(2.0, 70, 69, 40).path))
    assert [c.name for c in table.columns[-3:]] == ["piqa", "average", "loss above dense"]
    assert marks(table)[2:] == ["lowest loss", "", ""]
    assert [row[-1].text for section in table.sections for row in section][2:] == [
        "0.000",
        "0.100",
        "0.200",
    ]


def keep(folder, removed, items, sums, task_record, text_record):
    """Write what an evaluation keeps beside the studies, and that the study has the same."""
    place = folder.path.parent.parent / "evaluations" / "model" / "-".join(map(str, removed))
    place.mkdir(parents=True)
    common = {"schema": 1, "removed": list(removed), "model": {"weights": "w"}}
    task = {**common, "name": "piqa", "items": items, "record": task_record}
    text = {**common, "name": "c4", "sums": sums, "weights": [10.0] * 4, "record": text_record}
    (place / "piqa-0.json").write_text(json.dumps(task))
    (place / "c4-0.json").write_text(json.dumps(text))
    (place / "broken.json").write_text("{")
    details = {"tasks": {"piqa": {"metric": "acc", **task_record}}}
    details["perplexities"] = {"c4": {"loss": 1.0, **text_record}}
    ppl = math.exp(sum(sums) / 40)
    known = VariantEvaluation(
        "m", removed, {"c4": ppl}, {"piqa": sum(items) / len(items)}, {"piqa": 0.3}, details
    )
    folder.write_evaluation(known)
    (folder.path / "models").mkdir(exist_ok=True)
    origin = {"model": "m", "n_blocks": 8, "parameters": 1, "fingerprint": {"weights": "w"}}
    (folder.path / "models" / "m.json").write_text(json.dumps(origin))


ITEMS = ([1.0] * 30 + [0.0] * 10, [1.0] * 20 + [0.0] * 20, [1.0] * 29 + [0.0] * 11)
SUMS = ([20.0, 22.0, 24.0, 21.0], [21.0, 23.1, 25.0, 22.0], [20.1, 21.9, 24.2, 20.7])


@pytest.fixture
def paired(by_hand):
    """Three searchers of whose choices every item and window is kept."""
    folder = by_hand([(cell, (i,), 0.1 * i) for i, cell in enumerate(cells())])
    for i, (items, sums) in enumerate(zip(ITEMS, SUMS, strict=True)):
        record = {"items": 40, "metrics": {"acc": i}, "chance": 0.5}
        keep(folder, (i,), items, sums, record, {"digest": "d", "tokens": 40})
    return folder


@pytest.fixture
def by_hand(by_hand, tmp_path):
    """As in a working directory: the study below `studies`, evaluations beside them."""

    def write(*given, **how):
        folder = by_hand(*given, **how)
        inside = tmp_path / "work" / "studies" / "by-hand"
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(inside, ignore_errors=True)
        folder.path.rename(inside)
        folder.path = inside
        return folder

    return write


def test_items_that_are_kept_are_paired(paired):
    study = read_study(paired.path)
    by_item = not_the_best(study, HERE, "piqa (%)", True)
    exact = [mcnemar(10, 0), mcnemar(1, 0)]
    assert by_item == pytest.approx({"greedy": 2 * exact[0], "beam": exact[1]})
    assert alike(study, HERE, "piqa (%)", True) == ["beam"]
    assert alike(study, HERE, "accuracy", True) == ["beam"]  # though its error alone is 30 points
    assert alike(study, HERE, "difference", False) == []


def test_windows_that_are_kept_are_paired(paired):
    study = read_study(paired.path)
    assert alike(study, HERE, "perplexity: c4", False) == ["one-shot"]
    (table,) = perplexity_tables(study)
    assert "best" not in marks(table)


@pytest.mark.parametrize("change", ["record", "weights", "place"])
def test_what_was_measured_otherwise_is_not_taken_for_it(paired, tmp_path, change):
    (path,) = tmp_path.glob("work/evaluations/*/0/piqa-0.json")
    row = json.loads(path.read_text())
    row["record"] |= {"limit": 5} if change == "record" else {}
    row["model"] |= {"weights": "other"} if change == "weights" else {}
    path.write_text(json.dumps(row))
    if change == "place":
        path.rename(path.parent.parent / "piqa-0.json")
    assert "piqa (%)" not in read_study(paired.path).kept["m", frozenset({0})]
    assert "perplexity: c4" in read_study(paired.path).kept["m", frozenset({0})]


def test_marks_without_a_rank_are_hollow_and_the_spread_says_how_many(scored):
    study = read_study(scored(2.0, 70, 66, 40).path)
    axes = Figure().add_subplot()
    ranks(study).panels[0].draw(axes)
    hollow = {line.get_color() for line in axes.lines if line.get_markerfacecolor() == "none"}
    assert hollow == {BLUE, ORANGE}
    assert "the best accuracy in 1 of 1 condition cannot be told apart" in spread(study).sentence


def test_searchers_that_always_choose_alike_count_as_one(by_hand):
    """Seven searchers of two subsets correlate perfectly, which says nothing."""
    names = ("one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select")
    runs = [(cell, (i % 2,), 0.1) for i, cell in enumerate(cells(names))]
    scores = [
        VariantEvaluation("m", (i,), {"c4": 10.0 + i}, {"piqa": 0.5 + i / 10}) for i in (0, 1)
    ]
    study = read_study(by_hand(runs, scores).path)
    found = compare_ranks(study, HERE)
    assert (found.distinct, found.rho, found.p) == (2, None, None)
    assert "of 2 distinct choices" in ranks(study).panels[0].title


def test_a_third_choice_makes_three_of_seven(by_hand):
    names = ("one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select")
    runs = [(cell, (min(i, 2),), 0.1) for i, cell in enumerate(cells(names))]
    scores = [
        VariantEvaluation("m", (i,), {"c4": 10.0 + i}, {"piqa": 0.5 + i / 10}) for i in range(3)
    ]
    found = compare_ranks(read_study(by_hand(runs, scores).path), HERE)
    assert (found.distinct, found.rho) == (3, -1.0)
    assert found.p == pytest.approx(2 / 6)


def test_a_choice_is_all_that_was_removed_on_every_draw(by_hand):
    """Seeds that repeat a choice change nothing; another choice on one draw does."""
    runs = [(cell, (cell.draw,), 0.1) for cell in cells(("greedy", "beam", "cbo"), draws=(0, 1))]
    runs += [(Cell("m", "margin", "genetic", 1, z, d), (d,), 0.1) for z in (0, 1) for d in (0, 1)]
    runs[-1] = (*runs[-1][:1], (5,), 0.1)
    scores = [VariantEvaluation("m", (i,), {"c4": 10.0 + i}, {"piqa": 0.5}) for i in (0, 1, 5)]
    assert compare_ranks(read_study(by_hand(runs, scores).path), HERE).distinct == 2


def test_guessing_is_a_row_of_its_own_where_it_is_known(scored):
    (table,) = accuracy_tables(read_study(scored(2.0, 70, 66, 40).path))
    assert [entry.text for entry in table.sections[0][1]][2:] == ["guessing", "50.00", "50.00", "–"]


def test_guessing_is_as_the_evaluation_says_or_left_out(by_hand):
    def chances(task, **record):
        details = {"tasks": {task: record}}
        of = VariantEvaluation("m", (0,), {}, {task: 0.5}, {}, details)
        return read_study(by_hand([(cells()[0], (0,), 0.1)], [of]).path).chances

    assert chances("quiz", chance=0.2) == {"quiz (%)": 20.0}
    assert chances("hellaswag") == {"hellaswag (%)": 25.0}
    assert chances("quiz") == {}
