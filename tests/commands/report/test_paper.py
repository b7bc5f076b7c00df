"""The report on the numbers that the paper publishes says what the paper says of them.

`paper.csv` holds Tables 1 and 2 of Kim et al., "Rethinking Layer Redundancy in Large Language
Models" (arXiv 2604.24938v1), without the dense models and the margins.
"""

import csv
import re
from pathlib import Path
from statistics import variance

import pytest

from prunekit.engine.study_folder import Cell, VariantEvaluation
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.drawing import draw_files
from prunekit.plugins.commands.report.figures.costs import cost
from prunekit.plugins.commands.report.figures.outcomes import spread
from prunekit.plugins.commands.report.measures import ACCURACY, PERPLEXITY, points, quality, spans
from prunekit.plugins.commands.report.tables import cost_tables, overview

TASKS = ("hellaswag", "winogrande", "arc_easy", "arc_challenge", "piqa", "boolq")
TEXTS = ("wikitext2", "c4", "lambada")
OBJECTIVES = {"1": "margin", "2": "ppl"}
SEARCHERS = 7
MODELS = ("LLaMA3 8B", "LLaMA3.1 8B", "Qwen3 8B")
FIGURE_3 = {
    ("margin", 7): (1.7, 3.3, 5.7),
    ("margin", 9): (0.7, 1.0, 11.0),
    ("ppl", 7): (1.1, 0.2, 107.7),
    ("ppl", 9): (45.7, 60.5, 1015.7),
}
"""The variances, model by model, by objective and number of removed blocks."""


def published():
    return list(csv.DictReader(Path(__file__).with_name("paper.csv").open()))


@pytest.fixture
def study(by_hand):
    """Searchers with equal scores chose the same blocks; which ones, the tables do not say."""
    runs, evaluations = [], {}
    for row in published():
        cell = Cell(row["model"], OBJECTIVES[row["table"]], row["searcher"], int(row["M"]), 0, 0)
        accuracies = {task: float(row[task]) / 100 for task in TASKS if row[task]}
        perplexities = {text: float(row[text]) for text in TEXTS if row[text]}
        key = (cell.model, *accuracies.values(), *perplexities.values())
        start = list(evaluations).index(key) if key in evaluations else len(evaluations)
        removed = tuple(range(start, start + cell.budget))
        evaluations[key] = VariantEvaluation(cell.model, removed, perplexities, accuracies)
        runs.append((cell, removed, 0.1))
    return read_study(by_hand(runs, list(evaluations.values()), n_blocks=100).path)


def means(study, objective, model, budget):
    column = {"margin": "accuracy", "ppl": "perplexity"}[objective]
    return points(study, column, objective=objective, model=model, budget=budget)["mean"]


def test_averages_are_those_of_the_paper(study):
    """To the last of two digits."""
    gaps = [
        abs(mean - float(row["average"]))
        for row in published()
        for mean in [
            means(study, OBJECTIVES[row["table"]], row["model"], int(row["M"]))[row["searcher"]]
        ]
    ]
    assert len(gaps) == 2 * 3 * 2 * SEARCHERS
    assert max(gaps) < 0.0101


@pytest.mark.parametrize(("objective", "budget"), FIGURE_3)
def test_variances_are_those_of_figure_3_divided_by_n(study, objective, budget):
    for model, expected in zip(MODELS, FIGURE_3[objective, budget], strict=True):
        found = variance(means(study, objective, model, budget))
        rounding = 0.05 + 2 * 0.005 * expected**0.5  # of σ², and of the numbers it is made from
        assert found * (SEARCHERS - 1) / SEARCHERS == pytest.approx(expected, abs=rounding)


def test_the_figure_of_the_spread_shows_them_divided_by_n_minus_1(study):
    picture = spread(study)
    shown = re.findall(r"σ² ([\d.,]+)", draw_files(picture)["svg"].decode())
    found = [float(text.replace(",", "")) for text in shown]
    expected = [
        x * SEARCHERS / (SEARCHERS - 1)
        for objective in ("margin", "ppl")
        for models in zip(FIGURE_3[objective, 7], FIGURE_3[objective, 9], strict=True)
        for x in models
    ]
    assert sorted(found) == pytest.approx(sorted(expected), rel=0.15)


def test_searchers_are_2_to_7_and_a_half_points_apart(study):
    """The paper says 1 to 3 points of accuracy; so far are the best and the worst by its table."""
    ranges = spans(study, ACCURACY).range
    assert min(ranges) == pytest.approx(1.98, abs=0.011)
    assert max(ranges) == pytest.approx(7.51, abs=0.011)
    assert max(spans(study, PERPLEXITY).range) > 90


def test_each_objective_is_judged_by_what_it_is_about(study):
    """Table 3 of the paper has accuracies, since its searches minimise the margin."""
    assert quality(study, "margin") is ACCURACY
    assert quality(study, "ppl") is PERPLEXITY
    heads = {table.title.split()[3]: table.columns[-1].name for table in cost_tables(study)}
    assert heads == {"margin": "average accuracy (%)", "ppl": "average perplexity"}
    said = {panel.title.split(", ")[1]: panel.alt for panel in cost(study).panels}
    assert ", accuracy: " in said["margin"]
    assert ", perplexity: " in said["ppl"]
    assert [t.title for t in overview(study)] == [
        "Average accuracy (%), pruned under margin",
        "Average perplexity, pruned under ppl",
    ]


def test_the_paper_gives_no_errors_so_its_best_are_marked_as_they_are(study):
    (margin, _) = overview(study)
    best = {e.text for section in margin.sections for row in section for e in row if e.mark}
    assert {"60.90", "62.46", "60.98"} <= best
