"""What choices cost on their own draw and on the others, by hand."""

import csv
import io
import math

import pytest

from prunekit.engine.study_folder import Cell
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.other_draw_tables import other_draw_tables
from prunekit.plugins.commands.report.other_draws import other_draws, unmeasured
from prunekit.plugins.commands.report.page import gaps
from prunekit.plugins.commands.report.sheets import sheets
from prunekit.plugins.commands.study.draw_losses import DrawLosses

CHOICES = {0: (1, 2), 1: (1, 3), 2: (1, 4)}
LOSSES = [[0.1, 0.3, 0.4], [0.3, 0.2, 0.5], [0.2, 0.4, 0.3]]
"""of the choice on each draw, on each draw"""


@pytest.fixture
def study_of(by_hand):
    """Write a study of greedy whose choice on draw d costs `table[d][e]` on draw e."""

    def write(table=LOSSES, calibration="", seeds=(0,)):
        draws = range(len(table))
        place = ("m", "ppl", "greedy", 2)
        cells = [Cell(*place, seed, d, calibration) for d in draws for seed in seeds]
        folder = by_hand([(c, CHOICES[c.draw], table[c.draw][c.draw]) for c in cells])
        for e in draws:
            there = {"-".join(map(str, CHOICES[d])): table[d][e] for d in draws if d != e}
            DrawLosses("m", "ppl", e, there, calibration=calibration).write(folder.path)
        return folder.path

    return write


def test_the_gap_is_that_of_the_same_choices_on_the_other_draws(study_of):
    (row,) = other_draws(read_study(study_of())).to_dict("records")
    assert (row["searcher"], row["budget"], row["draws"]) == ("greedy", 2, 3)
    assert row["own"] == pytest.approx((0.1 + 0.2 + 0.3) / 3)
    assert row["others"] == pytest.approx((0.3 + 0.4 + 0.3 + 0.5 + 0.2 + 0.4) / 6)
    assert row["gap"] == pytest.approx(0.15)


def test_errors_leave_out_each_draw_as_search_and_as_samples(study_of):
    (row,) = other_draws(read_study(study_of())).to_dict("records")
    assert row["own ±"] == pytest.approx(0.1 / 3**0.5)  # the usual error of a mean of three
    without = [(0.5 + 0.4) / 2, (0.4 + 0.2) / 2, (0.3 + 0.3) / 2]
    assert row["others ±"] == pytest.approx((2 / 3 * (0.1**2 + 0.05**2 + 0.05**2)) ** 0.5)
    of_gap = [x - own for x, own in zip(without, (0.25, 0.2, 0.15), strict=True)]
    assert of_gap == pytest.approx([0.2, 0.1, 0.15])
    assert row["gap ±"] == pytest.approx((2 / 3 * (0.05**2 + 0.05**2)) ** 0.5)


def test_the_level_of_a_draw_and_of_a_choice_change_no_gap_and_not_its_error(study_of):
    level, quality = [0.0, 5.0, 1.0], [0.3, 0.0, 0.9]
    table = [[0.2 * (d != e) + level[e] + quality[d] for e in range(3)] for d in range(3)]
    (row,) = other_draws(read_study(study_of(table))).to_dict("records")
    assert (row["gap"], row["gap ±"]) == (pytest.approx(0.2), pytest.approx(0.0, abs=1e-9))


def test_two_draws_have_a_gap_without_an_error(study_of):
    study = read_study(study_of([[0.1, 0.3], [0.4, 0.2]]))
    (row,) = other_draws(study).to_dict("records")
    assert row["gap"] == pytest.approx(0.2)
    assert all(math.isnan(row[f"{name} ±"]) for name in ("own", "others", "gap"))
    (table,) = other_draw_tables(study)
    assert "±" not in table.title


def test_one_draw_has_no_row(study_of):
    assert other_draws(read_study(study_of([[0.1]]))).empty


def test_seeds_of_a_draw_count_as_one(study_of):
    one = other_draws(read_study(study_of())).to_dict("records")
    assert other_draws(read_study(study_of(seeds=(0, 1)))).to_dict("records") == one


def test_a_choice_that_is_not_measured_everywhere_has_no_row_and_is_missing(study_of):
    path = study_of()
    (path / "on-draws" / "m_ppl_d1.json").unlink()
    study = read_study(path)
    assert other_draws(study).empty
    missing = {(of.draw, tuple(sorted(of.removed))) for of in unmeasured(study)}
    assert missing == {(1, CHOICES[0]), (1, CHOICES[2])}
    (gap,) = (gap for gap in gaps(study) if "draw" in gap.sentence)
    assert gap.sentence == "2 choices not measured on another draw"
    assert gap.items[0] == "m without 1,2, ppl, draw 1"


def test_a_loss_that_is_not_finite_is_infinite(study_of):
    study = read_study(study_of([[0.1, None], [0.4, 0.2]]))
    (table,) = other_draw_tables(study)
    assert [entry.text for entry in table.sections[0][0]][3:] == ["0.1500", "∞", "∞"]


def test_the_table_and_its_numbers_in_full(study_of):
    study = read_study(study_of(calibration="small"))
    (table,) = other_draw_tables(study)
    assert table.title.startswith(
        "Loss above dense in nats per token of what searches under ppl small chose"
    )
    ((row,),) = table.sections
    assert [entry.text for entry in row] == [
        *("m", "2", "greedy"),
        *("0.2000 ± 0.0577", "0.3500 ± 0.1000", "0.1500 ± 0.0577"),
    ]
    (sheet,) = [sheet for sheet in sheets(study) if sheet.name == "other_draws"]
    (full,) = csv.DictReader(io.StringIO(sheet.files["csv"]))
    assert float(full["gap"]) == pytest.approx(0.15)
    assert full["unit"] == "nats per token"


def test_an_older_study_has_no_such_table(by_hand):
    cells = [Cell("m", "ppl", "greedy", 2, 0, draw) for draw in (0, 1)]
    study = read_study(by_hand([(cell, (1, 2), 0.1) for cell in cells]).path)
    assert other_draw_tables(study) == []
    assert not any("draw" in gap.sentence for gap in gaps(study))
