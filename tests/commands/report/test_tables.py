"""Tables: the numbers, what is marked as best, and the three forms."""

import csv
import io
import math
import re
from dataclasses import replace

import pytest

from prunekit.engine.study_folder import Cell, StudyFolder, VariantEvaluation
from prunekit.plugins.commands.report.choices import choices
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.figures.costs import cost
from prunekit.plugins.commands.report.measures import points
from prunekit.plugins.commands.report.sheets import sheets
from prunekit.plugins.commands.report.table import Column, Entry, Table, latex, markdown
from prunekit.plugins.commands.report.tables import cost_tables, overview, perplexity_tables


@pytest.fixture
def study(by_hand):
    """Greedy once; genetic with two seeds, which end at 60 and 70 %, and tie with greedy once."""
    greedy = Cell("m", "margin", "greedy", 2, 0, 0)
    genetic = [Cell("m", "margin", "genetic", 2, seed, 0) for seed in (0, 1)]
    runs = [(greedy, (1, 2), 0.5), (genetic[0], (1, 2), 0.5), (genetic[1], (1, 3), 0.7)]
    evaluations = [
        VariantEvaluation("m", (), {"c4": 10.0, "w2": 20.0}, {"arc_easy": 0.9, "piqa": 0.7}),
        VariantEvaluation("m", (1, 2), {"c4": 12.0, "w2": 24.0}, {"arc_easy": 0.7, "piqa": 0.5}),
        VariantEvaluation("m", (1, 3), {"c4": 11.0, "w2": None}, {"arc_easy": 0.8, "piqa": 0.6}),
    ]
    return read_study(by_hand(runs, evaluations).path)


def rows(study, name):
    (sheet,) = [sheet for sheet in sheets(study) if sheet.name == name]
    return list(csv.DictReader(io.StringIO(sheet.files["csv"])))


def texts(table):
    return [[entry.text for entry in row] for section in table.sections for row in section]


def test_accuracies_are_means_over_tasks_and_over_runs(study):
    dense, greedy, genetic = rows(study, "accuracy")
    assert (dense["searcher"], dense["budget"], float(dense["average (%)"])) == ("dense", "0", 80.0)
    assert float(greedy["average (%)"]) == 60.0
    assert greedy["average (%), deviation"] == ""
    assert float(genetic["arc_easy (%)"]) == pytest.approx(75.0)
    assert float(genetic["average (%)"]) == pytest.approx(65.0)
    assert float(genetic["average (%), deviation"]) == pytest.approx(50**0.5)
    assert float(genetic["calibration loss"]) == pytest.approx(3.6)


def test_a_perplexity_that_is_not_finite_stays_so_in_the_mean(study):
    _, greedy, genetic = rows(study, "perplexity")
    assert float(greedy["average"]) == 18.0
    assert (genetic["c4"], genetic["average"]) == ("11.5", "inf")
    (table,) = perplexity_tables(study)
    assert texts(table)[-1] == ["2", "genetic", "11.50", "∞", "∞"]


def test_the_error_of_an_average_is_that_of_independent_tasks(by_hand):
    cell = Cell("m", "margin", "greedy", 1, 0, 0)
    errors = {"arc_easy": 0.03, "piqa": 0.04}
    scores = VariantEvaluation("m", (1,), {}, {"arc_easy": 0.7, "piqa": 0.5}, errors)
    study = read_study(by_hand([(cell, (1,), 0.5)], [scores]).path)
    assert study.runs["accuracy_error"][0] == pytest.approx(2.5)
    (sheet, *_) = sheets(study)
    assert sheet.tables[0].title.endswith("; an average has a standard error of 2.5 over its items")


def test_equal_subsets_tie_however_often_they_were_found(by_hand):
    greedy = [Cell("m", "ppl", "greedy", 1, 0, draw) for draw in (0, 1)]
    genetic = [Cell("m", "ppl", "genetic", 1, seed, draw) for seed in (0, 1, 2) for draw in (0, 1)]
    losses = (0.1, 0.6)  # whose mean differs in the last bit from that of three times both
    runs = [(cell, (cell.draw,), losses[cell.draw]) for cell in [*greedy, *genetic]]
    (table,) = overview(read_study(by_hand(runs).path))
    assert [row[-1].mark for row in table.sections[1]] == ["best", "best"]


def test_costs_are_those_of_the_search_alone(study):
    greedy, _ = rows(study, "cost")
    names = ("asked", "block forwards", "block forwards unshared", "seconds")
    assert [float(greedy[name]) for name in names] == [8, 36, 56, 2]


def test_the_overview_marks_the_best(study):
    (table,) = overview(study)
    assert table.title == "Average accuracy (%), pruned under margin"
    assert texts(table) == [
        ["0", "dense", "80.00"],
        ["0", "guessing", "37.50"],
        ["2", "greedy", "60.00"],
        ["2", "genetic", "65.00 ± 7.07"],
    ]
    marks = [row[-1].mark for section in table.sections for row in section]
    assert marks == ["", "", "", "best"]


def test_equal_bests_are_all_marked_and_one_alone_is_not(by_hand):
    cells = [Cell("m", "ppl", searcher, 2, 0, 0) for searcher in ("greedy", "beam", "cbo")]
    folder = by_hand([(cells[0], (1, 2), 0.5), (cells[1], (1, 2), 0.5), (cells[2], (1, 3), 0.6)])
    (table,) = overview(read_study(folder.path))
    assert table.title == "Loss above dense (nats per token), pruned under ppl"
    assert [row[-1].mark for row in table.sections[1]] == ["best", "best", ""]
    assert [row[-1].mark for row in table.sections[0]] == [""]


def test_the_whole_model_heads_every_table_of_accuracies(whole_study):
    study = read_study(whole_study)
    (sheet, *_) = sheets(study)
    ppl, margin = sheet.tables
    assert [c.name for c in ppl.columns[-3:]] == ["piqa", "average", "loss above dense"]
    assert len(ppl.sections) == 2 * (1 + 2)
    assert [row[2].text for row in margin.sections[1]] == study.searchers


def test_every_run_is_in_one_file(whole_study):
    study = read_study(whole_study)
    found = rows(study, "runs")
    assert len(found) == len(study.planned)
    first = study.runs.iloc[0]
    assert found[0]["removed"] == ",".join(map(str, sorted(first["removed"])))
    assert float(found[0]["difference"]) == first["difference"]


def test_every_choice_comes_with_the_command_that_writes_it(whole_study):
    """The winner among finalists is what the command takes."""
    sheet = choices(whole_study)
    found = list(csv.DictReader(io.StringIO(sheet.files["csv"])))
    folder = StudyFolder(whole_study)
    for row, cell in zip(found, folder.cells(), strict=True):
        run = f"{whole_study.name}/{cell.id}"
        assert row["command"] == f"prunekit export --run {run} --to pruned"
        winner = folder.cell(cell).held_out.winner
        assert row["removed"] == ",".join(map(str, sorted(winner)))
    (table,) = sheet.tables
    assert [texts(table)[0][i] for i in (-2, -1)] == [found[0]["removed"], found[0]["command"]]


def test_where_nothing_was_chosen_there_is_no_command(make_study, tmp_path):
    assert choices(make_study(tmp_path, run=lambda cell: False).path).files == {}


ODD = Table(
    "Of 50 % & more_or_less",
    (Column("model", is_number=False, repeats=True), Column("a_b", "g#1"), Column("c", "g#1")),
    (
        ((Entry("x_$"), Entry("1 ± 2", "best"), Entry("–")),),
        ((Entry("x_$"), Entry("∞"), Entry("3", "lowest loss")),),
    ),
)


def cells_of(line):
    spans = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans)


def check_latex(text):
    """Environments and braces close, and each line of a table has as many cells as columns."""
    open_ones = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        open_ones.append(name) if kind == "begin" else None
        assert kind == "begin" or open_ones.pop() == name
    assert not open_ones
    assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
    assert text.isascii()
    for table in re.findall(r"\\begin\{tabular\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        columns = re.match(r"\{([lr]+)\}", table)[1]
        lines = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert lines
        assert {cells_of(line) for line in lines} == {len(columns)}


def test_latex_escapes_marks_and_leaves_out_what_repeats():
    text = latex([ODD, ODD], "odd")
    check_latex(text)
    assert r"\caption{Of 50 \% \& more\_or\_less}" in text
    assert r"x\_\$ & \textbf{1 $\pm$ 2} & -- \\" in text
    assert r" & $\infty$ & \underline{3} \\" in text
    assert r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{g\#1} \\" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert re.findall(r"\\label\{(.*)\}", text) == ["tab:odd", "tab:odd-2"]


def test_the_latex_of_a_study_is_sound(whole_study):
    for sheet in sheets(read_study(whole_study)):
        if "tex" in sheet.files:
            check_latex(sheet.files["tex"])


def test_markdown_has_a_heading_a_rule_and_marks():
    assert markdown([ODD]).splitlines() == [
        "**Of 50 % & more_or_less**",
        "",
        "| model | g#1 a_b | g#1 c |",
        "| :-- | --: | --: |",
        r"| x\_\$ | **1 ± 2** | – |",
        r"| x\_\$ | ∞ | <u>3</u> |",
    ]


LABELS = ["=1+1", "-2|3\n| x", "[5cm] <script>alert(1)</script> $\\x$", "a\x01b\rc\u2028d\ud800"]


@pytest.mark.parametrize("label", LABELS)
def test_a_label_stays_in_its_cell_in_every_form(by_hand, label):
    cells = [Cell(label, "ppl", searcher, 2, 0, 0) for searcher in ("greedy", f"{label} 2")]
    runs = [(cell, (1, 2), -0.5) for cell in cells]
    scores = [VariantEvaluation(label, (1, 2), {label: 2.0}, {f"{label} task": 0.5})]
    for sheet in sheets(read_study(by_hand(runs, scores).path)):
        for name, text in sheet.files.items():
            text.encode()
            lines = text.splitlines()
            if name == "csv":
                found = list(csv.reader(io.StringIO(text)))
                assert {len(row) for row in found} == {len(found[0])}
                assert len(found) == len(sheet.frame) + 1
                assert not [c for row in found for c in row if c[:1] in "=+@-" and not number(c)]
            elif name == "md":
                tables = [line for line in lines if line.startswith("| ")]
                n_rows = sum(len(s) for table in sheet.tables for s in table.sections)
                assert len(tables) == n_rows + 2 * len(sheet.tables)
                assert "<script" not in text.replace(r"\<", "")
            else:
                check_latex(text)
                assert not re.search(r"\\\\\s*[\[*]|rule\s*\[", text)


def number(cell):
    return not cell or math.isfinite(float(cell))


def test_a_cost_that_leaves_out_signals_says_so(by_hand):
    cells = [Cell("m", "ppl", searcher, 2, 0, 0) for searcher in ("greedy", "cbo")]
    folder = by_hand([(cells[0], (1, 2), 0.5), (cells[1], (1, 3), 0.6)])
    folder.write_cell(replace(folder.cell(cells[1]), signals=("gate_gradients",)))
    study = read_study(folder.path)
    (table,) = cost_tables(study)
    assert table.title.endswith("; not counted: the signals of cbo (gate_gradients)")
    assert "the signals of cbo (gate_gradients)" in cost(study).reading
    assert [row["signals"] for row in rows(study, "cost")] == ["", "gate_gradients"]


def test_the_deviation_is_that_of_runs_on_different_draws(by_hand):
    """Repeated choices of seeds do not shrink it; with one draw, it is that of the seeds."""

    def runs(searcher, seeds, by_draw):
        cells = [Cell("m", "ppl", searcher, 2, z, d) for d in range(len(by_draw)) for z in seeds]
        return [(cell, (1, 2), by_draw[cell.draw][cell.seed]) for cell in cells]

    def deviations(*searches):
        study = read_study(by_hand([run for of in searches for run in of]).path)
        return points(study, "difference")["deviation"].to_dict()

    greedy = runs("greedy", [0], [[1.0], [2.0]])
    alike = runs("genetic", [0, 1, 2], [[1.0] * 3, [2.0] * 3])
    mixed = runs("bayesian", [0, 1], [[1.0, 3.0], [2.0, 6.0]])
    found = deviations(greedy, alike, mixed)
    assert found["greedy"] == found["genetic"] == pytest.approx(0.5**0.5)
    assert found["bayesian"] == pytest.approx(((1 + 25 + 1 + 9) / 4 / 2) ** 0.5)
    assert deviations(runs("genetic", [0, 1], [[1.0, 3.0]]))["genetic"] == pytest.approx(2**0.5)
