"""What choices cost on held-out samples, and whether another draw repeats them, by hand."""

import csv
import io
import math
from dataclasses import replace

import pytest

from prunekit.engine.held_out import Finalist, HeldOut
from prunekit.engine.reading import Difference
from prunekit.engine.stability import Stability
from prunekit.engine.study_folder import Cell
from prunekit.plugins.commands.report.data import read_study
from prunekit.plugins.commands.report.drawing import LeftOut, draw_files
from prunekit.plugins.commands.report.figures.finals import held_out, repeated
from prunekit.plugins.commands.report.finals import finals, repeats
from prunekit.plugins.commands.report.held_out_tables import held_out_tables
from prunekit.plugins.commands.report.sheets import sheets

OWN = (1, 2)


def ended(own, winner, overfitting, removed=OWN):
    """Finals whose dense model has a held-out loss of 4."""
    known = [
        Finalist((3, 4), "beam", 3.5, winner and 4 + winner, Difference(0.0, 0.0), False),
        Finalist(removed, "greedy", 3.1, own and 4 + own, Difference(0.1, 0.1), False),
    ]
    return HeldOut(64, 4.0, tuple(known), Difference(*overfitting))


@pytest.fixture
def study_of(by_hand):
    """Write a study of greedy: for each (seed, draw) its blocks, finals and stability."""

    def write(runs):
        cells = [Cell("m", "ppl", "greedy", 2, seed, draw) for seed, draw in runs]
        folder = by_hand([(c, runs[c.seed, c.draw][0], 0.1) for c in cells])
        for cell in cells:
            _, held, agreement = runs[cell.seed, cell.draw]
            stable = None if agreement is None else Stability(agreement, 3, None)
            folder.write_cell(replace(folder.cell(cell), held_out=held, stability=stable))
        return read_study(folder.path)

    return write


@pytest.fixture
def study(study_of):
    return study_of(
        {
            (0, 0): (OWN, ended(0.4, 0.2, (0.3, 0.03)), 0.6),
            (0, 1): ((1, 5), ended(0.6, 0.4, (0.5, 0.04), removed=(1, 5)), 0.8),
        }
    )


def test_losses_are_above_those_of_the_dense_model_and_means_over_draws(study):
    (row,) = finals(study).to_dict("records")
    assert row["runs"] == 2
    assert row["calibration"] == pytest.approx(0.1)
    assert row["held out"] == pytest.approx(0.5)
    assert row["held out ±"] == pytest.approx(0.02**0.5)
    assert row["winner"] == pytest.approx(0.3)
    assert row["overfitting"] == pytest.approx(0.4)
    assert row["agreement"] == pytest.approx(0.7)


def test_the_error_of_overfitting_is_that_of_the_mean_of_independent_draws(study):
    assert finals(study)["overfitting error"].item() == pytest.approx(0.025)  # hypot(3, 4) / 2


def test_seeds_of_one_draw_share_their_samples_and_so_shrink_no_error(study_of):
    runs = {(seed, 0): (OWN, ended(0.4, 0.2, (0.3, 0.03)), 0.6) for seed in range(4)}
    found = finals(study_of(runs))
    assert (found["runs"].item(), found["overfitting error"].item()) == (4, pytest.approx(0.03))


def test_a_loss_that_is_not_finite_is_infinite_and_not_drawn(study_of):
    study = study_of({(0, 0): (OWN, ended(None, 0.2, (None, None)), 0.6)})
    (row,) = finals(study).to_dict("records")
    assert (row["held out"], row["winner"]) == (math.inf, pytest.approx(0.2))
    assert math.isnan(row["overfitting"])
    (table,) = held_out_tables(study)
    assert [e.text for e in table.sections[0][0]][3:] == ["0.1000", "∞", "0.2000", "–", "0.60"]
    assert held_out(study).sentence == "None of 1 choice has finite losses."
    assert draw_files(held_out(study))["png"]


def test_the_table_and_its_numbers_in_full(study):
    (table,) = held_out_tables(study)
    ((row,),) = table.sections
    assert [entry.text for entry in row] == [
        *("m", "2", "greedy", "0.1000", "0.5000 ± 0.1414", "0.3000 ± 0.1414"),
        *("0.4000 ± 0.0250", "0.70"),
    ]
    (sheet,) = [sheet for sheet in sheets(study) if sheet.name == "held_out"]
    (full,) = csv.DictReader(io.StringIO(sheet.files["csv"]))
    assert float(full["overfitting error"]) == pytest.approx(0.025)
    assert full["unit"] == "nats per token"


def test_runs_without_finalists_take_no_part(study_of):
    none = {(0, 0): (OWN, None, None)}
    study = study_of({**none, (0, 1): (OWN, ended(0.4, 0.2, (0.3, 0.03)), None)})
    assert finals(study)["runs"].item() == 1
    assert math.isnan(finals(study)["agreement"].item())
    nothing = study_of(none)
    assert held_out_tables(nothing) == []
    assert [s.files for s in sheets(nothing) if s.name == "held_out"] == [{}]
    for draw in (held_out, repeated):
        found = draw(nothing)
        assert isinstance(found, LeftOut)
        assert "`finalists: 5` in the study" in found.reason


def test_draws_are_compared_with_the_same_seed(study_of):
    held = ended(0.4, 0.2, (0.3, 0.03))
    runs = {
        (0, 0): ((1, 2), held, 0.5),
        (0, 1): ((1, 2), held, 0.5),
        (1, 0): ((5, 6), ended(0.4, 0.2, (0.3, 0.03), removed=(5, 6)), 0.7),
        (1, 1): ((5, 7), ended(0.4, 0.2, (0.3, 0.03), removed=(5, 7)), 0.7),
    }
    (found,) = repeats(study_of(runs))
    assert (found.expected, found.observed) == (0.6, 0.75)  # (1 + 1/2) / 2, seeds apart
    assert repeated(study_of(runs)).sentence == (
        "Another draw is expected to choose 60% of the blocks again, and chooses 75%; on average "
        "over 1 point of the figure the two differ by 15 percentage points."
    )


def test_one_draw_cannot_be_compared(study_of):
    found = repeated(study_of({(0, 0): (OWN, ended(0.4, 0.2, (0.3, 0.03)), 0.6)}))
    assert isinstance(found, LeftOut)
    assert found.reason == "no search was repeated on another calibration draw"


def test_the_figure_says_what_overfitting_and_winners_come_to(study):
    picture = held_out(study)
    assert picture.sentence == (
        "On held-out samples the choices of searches add to the dense loss, beyond what they add "
        "on their calibration set, on average 0.4 nats per token under ppl, where the winners "
        "add 0.2 less."
    )
    (panel,) = picture.panels
    assert "greedy: 0.1, 0.5, 0.3" in panel.alt


def test_winners_count_as_variants_that_can_lack_an_evaluation(study):
    assert ("m", frozenset({3, 4})) in study.not_evaluated
