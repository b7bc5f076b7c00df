"""A curve is what separate searches of each budget would find, measured once."""

import json

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.engine.config import parse
from prunekit.engine.estimate import estimate
from prunekit.engine.plan import resolve
from prunekit.engine.stored import fits
from prunekit.plugins.commands.curve.curve import plans_of, prepare
from prunekit.plugins.commands.curve.estimate import estimate_curve
from prunekit.plugins.commands.curve.result import CurveResult


@pytest.fixture(autouse=True)
def _proven_once(proven_once):
    """A curve is the same whether or not a model was proven before."""


@pytest.fixture
def quick(tiny_model, tmp_path):
    return {
        "model": str(tiny_model("llama3", n_blocks=6)),
        "workdir": tmp_path / "work",
        "ppl": {"data": "demo", "samples": 4, "length": 24},
    }


@pytest.mark.parametrize("searcher", [{}, {"searcher": "one-shot"}])
def test_each_point_is_the_search_of_its_budget(quick, tmp_path, searcher):
    found = prunekit.curve(budget=3, **quick, **searcher)
    assert [point.budget for point in found.points] == [0, 1, 2, 3]
    elsewhere = {**quick, "workdir": tmp_path / "elsewhere"}
    for point in found.points[1:]:
        alone = prunekit.search(budget=point.budget, finalists=0, **elsewhere, **searcher)
        assert point.removed == alone.removed
        assert point.loss == pytest.approx(alone.pruned.loss, rel=1e-5)
        assert point.above_dense.value == pytest.approx(alone.difference.value, abs=1e-5)
        assert point.parameters == alone.parameters - alone.parameters_removed


def test_the_largest_greedy_search_measures_all_of_it(quick):
    """6 + 5 + 4 subsets and the dense model."""
    first = prunekit.curve(budget=3, **quick)
    assert first.measured == 1 + 6 + 5 + 4
    assert prunekit.search(budget=3, finalists=0, **quick).work.measured == 0


def test_it_goes_on_where_it_was(quick):
    prunekit.search(budget=2, finalists=0, **quick)
    again = prunekit.curve(budget=3, **quick)
    assert again.measured == 4
    once_more = prunekit.curve(budget=3, **quick)
    assert once_more.measured == 0
    assert once_more.points == again.points


def test_held_out_losses_are_those_of_finalists(quick):
    """A search that takes its one finalist from its budget has it measured on the same samples."""
    point = prunekit.curve(budget=2, **quick).points[-1]
    held_out = prunekit.search(budget=2, finalists=1, **quick).held_out
    assert held_out.of(point.removed).held_out == pytest.approx(point.held_out, rel=1e-6)


def test_parameters_and_memory_by_hand(quick):
    """A block has 9,280 parameters, stored in float32; see tests/hf/test_parameters.py."""
    whole = 6 * 9_280 + 32 + 2 * 2048 * 32
    found = prunekit.curve(budget=2, **quick)
    assert [point.parameters for point in found.points] == [whole - k * 9_280 for k in range(3)]
    assert [point.bytes for point in found.points] == [4 * (whole - k * 9_280) for k in range(3)]
    assert found.dtype == "float32"


def test_speed_is_what_the_limit_on_it_counts_on(quick, registry):
    """All blocks of this model are alike, so the limit takes no more of them than this choice."""
    found = prunekit.curve(budget=2, **quick)
    assert found.points[0].speedup == 1.0
    for point in found.points[1:]:
        given = {"model": quick["model"], "min_speedup": point.speedup - 1e-9}
        assert resolve(parse(given, registry), registry).problem.budget == point.budget


def test_perplexities_are_those_of_evaluate(quick, tmp_path):
    found = prunekit.curve(budget=2, evaluate="demo", evaluate_samples=8, **quick)
    assert found.texts["demo"]["windows"] == 8
    dense, *pruned = (point.evaluated["demo"] for point in found.points)
    assert (dense.ratio, dense.low, dense.high) == (1, 1, 1)
    for point, figure in zip(found.points[1:], pruned, strict=True):
        row = prunekit.evaluate(
            quick["model"],
            remove=point.removed,
            ppl="demo",
            ppl_samples=8,
            workdir=tmp_path / "elsewhere",
        ).perplexities["demo"]
        assert figure.perplexity == pytest.approx(row.pruned)
        assert dense.perplexity == pytest.approx(row.dense)
        assert figure.ratio == pytest.approx(row.pruned / row.dense)
        assert figure.low < figure.ratio < figure.high
    assert prunekit.curve(budget=2, **quick).texts == {}


def test_a_text_that_does_not_exist_is_named_before_the_search(quick):
    with pytest.raises(ConfigError, match="evaluate: nowhere.txt: no such protocol"):
        prunekit.curve(budget=2, evaluate="nowhere.txt", **quick)
    assert not quick["workdir"].exists()


def test_its_folder_has_data_picture_and_configuration(quick):
    from pathlib import Path

    found = prunekit.curve(budget=2, every=2, **quick)
    folder = Path(found.folder)
    assert folder.parent == quick["workdir"] / "curves"
    assert folder.name.startswith("greedy-ppl-k2-")
    assert folder.name.endswith("-every2")
    names = {"curve.json", "curve.pdf", "curve.png", "curve.svg", "config.yaml"}
    assert {path.name for path in folder.iterdir()} == names
    row = json.loads((folder / "curve.json").read_text())
    assert fits(row, CurveResult)
    assert [point["budget"] for point in row["points"]] == [0, 2]
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "blocks removed" in (folder / "curve.svg").read_text()


def test_without_held_out_samples_the_knee_is_that_of_the_calibration_loss(quick):
    data = {"data": "demo", "samples": 128, "length": 8}  # all of it
    with pytest.warns(match="no samples are held out"):
        found = prunekit.curve(budget=1, **{**quick, "ppl": data})
    assert found.held_out_samples == 0
    assert [point.held_out for point in found.points] == [None, None]


@pytest.mark.parametrize(
    ("budget", "every", "budgets"), [(4, 1, [1, 2, 3, 4]), (5, 2, [2, 4, 5]), (3, 9, [3])]
)
def test_the_last_budget_is_always_there(quick, registry, budget, every, budgets):
    plan = resolve(parse({"model": quick["model"], "budget": budget}, registry), registry)
    plans = plans_of(plan, every)
    assert list(plans) == [plan.problem.budget for plan in plans.values()] == budgets


def test_periods_are_kept(tiny_model, registry):
    model = str(tiny_model("gemma2", n_blocks=8))
    given = {"model": model, "budget": 6, "keep_pattern": True}
    assert list(plans_of(resolve(parse(given, registry), registry))) == [2, 4, 6]


def test_steps_are_numbers_of_blocks(quick):
    with pytest.raises(ConfigError, match=r"every: 0 is outside 1\.\."):
        prunekit.curve(every=0, **quick)


@pytest.mark.parametrize("searcher", ["greedy", "one-shot", "beam"])
def test_a_dry_run_counts_what_is_measured(quick, registry, searcher):
    given = {"searcher": searcher, "budget": 3, "model": quick["model"], "ppl": quick["ppl"]}
    plan = prepare(parse(given, registry), registry)
    foretold = estimate_curve(plans_of(plan))
    found = prunekit.curve(**given, workdir=quick["workdir"])
    assert foretold.cost.measured == pytest.approx(found.measured, rel=0.2)
    assert foretold.finalists.subsets == len(found.points)
    assert foretold.seconds > 0


def test_a_dry_run_of_nested_searches_costs_what_the_largest_does(quick, registry):
    """Greedy asks for 6 + 5 + 4 subsets, the smaller budgets for the same ones again."""
    given = {"budget": 3, "model": quick["model"], "ppl": quick["ppl"]}
    plan = prepare(parse(given, registry), registry)
    curve, alone = estimate_curve(plans_of(plan)).cost, estimate(plan).cost
    assert (curve.measured, curve.block_runs) == (alone.measured, alone.block_runs)
    assert (alone.asked, curve.asked) == (6 + 5 + 4, 6 + (6 + 5) + (6 + 5 + 4))


def test_a_curve_under_a_repair_says_so_and_is_that_of_repaired_models(quick, tmp_path):
    words = {**quick, "repair": "magnitude", "repair_tokens": 500}
    bare, repaired = prunekit.curve(budget=2, **quick), prunekit.curve(budget=2, **words)
    assert (bare.repair, repaired.repair) == ("", "magnitude")
    assert repaired.search == "greedy on ppl, repaired by magnitude"
    assert bare.folder != repaired.folder
    for point in repaired.points[1:]:
        alone = prunekit.search(budget=point.budget, finalists=0, **words)
        assert (point.removed, point.loss) == (alone.removed, alone.pruned.loss)


def test_the_configuration_of_a_curve_searches_any_of_its_budgets_again(quick):
    """As the command does that it prints."""
    from pathlib import Path

    import yaml

    for words in ({}, {"repair": "magnitude", "repair_tokens": 500}):
        found = prunekit.curve(budget=3, **quick, **words)
        config = yaml.safe_load((Path(found.folder) / "config.yaml").read_text())
        again = prunekit.search(**{**config, "budget": 2}, workdir=quick["workdir"])
        assert again.removed == found.points[2].removed
        assert again.work.measured == 0
