"""The best subsets of one size in a journal, whatever search measured them."""

import json
import math

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.engine.journal import Journal
from prunekit.plugins.commands.show.show import to_json

PPL = "prunekit.plugins.objectives.perplexity.Perplexity"


@pytest.fixture
def journal(tmp_path):
    """Write a journal: the sums of four samples of weight 1 for each subset, in two spans."""

    def write(measured, objective=PPL, options=None):
        folder = tmp_path / "journals" / "a"
        about = {"weights": "w", "objective": objective, "options": options or {}}
        pieces = [
            (frozenset(subset), (start, start + 2), (tuple(sums[start : start + 2]), (1.0, 1.0)))
            for subset, sums in measured.items()
            for start in range(0, len(sums), 2)
        ]
        Journal(folder, about).append(pieces)
        return folder

    return write


def test_subsets_of_one_size_are_ranked_with_the_jackknife_error_of_their_distance(journal):
    folder = journal(
        {
            (0, 1): (1.0, 1.0, 1.0, 1.0),
            (0, 2): (3.0, 1.0, 3.0, 1.0),
            (1, 2): (2.0, 2.0, 2.0, 2.0),
            (3,): (0.0, 0.0, 0.0, 0.0),
        }
    )
    shown = prunekit.show(folder, best=10, budget=2)
    assert (shown.kind, shown.unit, shown.samples) == ("best subsets", "nats per token", 4)
    assert (shown.budget, shown.measured) == (2, 3)
    assert [s.removed for s in shown.subsets] == [(0, 1), (0, 2), (1, 2)]  # a tie by blocks
    assert [s.loss for s in shown.subsets] == [1.0, 2.0, 2.0]
    first, noisy, steady = (s.behind for s in shown.subsets)
    assert (first.value, first.standard_error) == (0.0, 0.0)
    # Differences 2 0 2 0: of a mean the jackknife is sqrt(sum of squares / (n (n - 1))).
    assert (noisy.value, noisy.standard_error) == (1.0, pytest.approx(math.sqrt(4 / 12)))
    assert (steady.value, steady.standard_error) == (1.0, 0.0)


def test_holm_corrects_for_the_subsets_shown(journal):
    """Alone p = 0.0455, below 5 %; as one of two that are compared it is 0.091."""
    z = 2.0
    spread = math.sqrt(3) / z  # a standard error of 1 / z
    uneven = (1 + spread, 1 - spread, 1 + spread, 1 - spread)
    folder = journal({(0,): (0.0,) * 4, (1,): uneven, (2,): uneven})
    alone = prunekit.show(folder, best=2, budget=1).subsets
    assert alone[1].behind.standard_error == pytest.approx(1 / z)
    assert [s.apart for s in alone] == [False, True]
    assert [s.apart for s in prunekit.show(folder, best=3, budget=1).subsets] == [False] * 3


def test_only_the_best_are_shown_and_ten_unless_said(journal):
    folder = journal({(i,): (float(i),) * 4 for i in range(12)})
    assert [s.removed for s in prunekit.show(folder, best=2, budget=1).subsets] == [(0,), (1,)]
    shown = prunekit.show(folder, budget=1)
    assert (len(shown.subsets), shown.measured) == (10, 12)


def test_subsets_measured_on_a_part_of_the_samples_are_left_out(journal):
    folder = journal({(0,): (9.0,) * 4, (1,): (1.0, 1.0)})
    assert [s.removed for s in prunekit.show(folder, budget=1).subsets] == [(0,)]


def test_a_loss_that_is_not_finite_comes_last(journal):
    folder = journal({(0,): (math.inf, 1.0, 1.0, 1.0), (1,): (1.0,) * 4})
    shown = prunekit.show(folder, budget=1)
    last = shown.subsets[1]
    assert (last.removed, last.loss, last.behind.value, last.apart) == ((0,), math.inf, None, True)
    row = json.loads(to_json(shown))
    assert (row["kind"], row["subsets"][1]["loss"]) == ("best subsets", None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"best": 3}, "--budget is needed; measured on all 4 samples .* blocks: 1, 2"),
        ({"budget": 7}, "--budget 7: no such subset; measured on all 4 .* blocks: 1, 2"),
        ({"budget": 3}, "--budget 3: no such subset"),
        ({"best": 0, "budget": 1}, "--best 0: expected 1 or more"),
    ],
)
def test_what_cannot_be_ranked_is_one_line_of_error(journal, given, message):
    folder = journal({(0,): (1.0,) * 4, (0, 1): (1.0,) * 4, (0, 1, 2): (1.0, 1.0)})
    with pytest.raises(ConfigError, match=message) as error:
        prunekit.show(folder, **given)
    assert "\n" not in str(error.value)


def test_an_objective_that_is_not_installed_is_named(journal):
    folder = journal({(0,): (1.0,) * 4}, objective="someone.Else")
    with pytest.raises(ConfigError, match="measured under someone.Else, which is not installed"):
        prunekit.show(folder, budget=1)


def test_only_journals_are_ranked(tmp_path):
    with pytest.raises(ConfigError, match="not a journal; --best and --budget rank"):
        prunekit.show(tmp_path, best=3, budget=2)


@pytest.mark.parametrize("objective", ["ppl", "margin"])
def test_the_losses_are_those_of_the_search(quick, objective):
    quick["finalists"] = 0
    if objective == "margin":
        quick["margin"] = {"data": "demo", "samples": 4, "reduction": "pudding-sum"}
        del quick["ppl"]
    result = prunekit.search(searcher="greedy", objective=objective, **quick)
    (folder,) = (quick["workdir"] / "journals").iterdir()
    best, second = prunekit.show(folder, best=2, budget=3).subsets
    assert (best.removed, best.loss) == (result.removed, result.pruned.loss)
    assert second.removed == result.runner_up.removed
    assert second.behind.value == pytest.approx(result.runner_up.behind.value)
    assert second.behind.standard_error == pytest.approx(result.runner_up.behind.standard_error)
