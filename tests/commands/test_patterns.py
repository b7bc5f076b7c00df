"""Models whose kinds of blocks repeat: warnings on export, and searches that keep the pattern."""

import json
import warnings

import pytest
import torch
from transformers import AutoModelForCausalLM

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.estimate import estimate
from prunekit.plugins.commands.search.saving import prepare

QUICK = ["--ppl.data", "demo", "--ppl.samples", "2", "--ppl.length", "24"]


@pytest.fixture
def alternating(tiny_model):
    """Blocks that attend to 4 tokens and to all, in turns."""
    return str(tiny_model("gemma2", n_blocks=8, sliding_window=4))


@pytest.fixture
def given(alternating, tmp_path):
    return {
        "model": alternating,
        "workdir": tmp_path / "work",
        "keep_pattern": True,
        "ppl": {"data": "demo", "samples": 2, "length": 24},
    }


def read_by_number(folder):
    """The model as a program loads it that computes the kinds of blocks from their numbers."""
    config = json.loads((folder / "config.json").read_text())
    del config["layer_types"]
    (folder / "config.json").write_text(json.dumps(config))
    return AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize(
    ("removed", "kept"),
    [([0, 1], True), ([3, 4], True), ([1, 2, 5, 6], True), ([1], False), ([2, 5], False)],
)
def test_an_export_warns_where_the_numbers_of_blocks_would_tell_other_kinds(
    alternating, tmp_path, removed, kept
):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Remark)
        to = prunekit.export(alternating, remove=removed, to=tmp_path / "pruned")
    remarks = [str(w.message) for w in caught if w.category is Remark]
    tokens = torch.arange(20)[None] % 50
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(to)(tokens).logits
        elsewhere = read_by_number(to)(tokens).logits
    assert torch.equal(logits, elsewhere) == kept
    told = "layer_types) no longer repeat every 2 blocks"
    assert [told in remark and "llama.cpp" in remark for remark in remarks] == [True] * (not kept)
    assert bool(json.loads((to / "prunekit.json").read_text())["remark"]) == (not kept)
    assert ("Not for every program" in (to / "README.md").read_text()) == (not kept)


def test_of_a_model_whose_blocks_are_alike_nothing_is_told(quick, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", Remark)
        prunekit.search(searcher="one-shot", save=tmp_path / "pruned", **quick)


@pytest.mark.parametrize("searcher", ["one-shot", "cbo", "fast-block-select"])
def test_a_search_that_keeps_the_pattern_saves_a_model_for_every_program(given, tmp_path, searcher):
    with warnings.catch_warnings():
        warnings.simplefilter("error", Remark)
        warnings.filterwarnings("ignore", "the pruned model beats", Remark)
        found = prunekit.search(searcher=searcher, budget=4, save=tmp_path / "pruned", **given)
    assert [block % 2 for block in found.kept] == [0, 1, 0, 1]
    assert "--keep-pattern" in (tmp_path / "pruned" / "README.md").read_text()


def test_the_signals_of_a_model_reach_a_searcher_over_runs(given):
    found = prunekit.search(searcher="cbo", budget=4, cbo={"hessian": "fisher"}, **given)
    assert [block % 2 for block in found.kept] == [0, 1, 0, 1]


def test_what_is_found_is_the_best_of_the_subsets_that_were_possible(given):
    found = prunekit.search(searcher="exhaustive", budget=2, **given)
    runs = [(first, first + 1) for first in range(7)]
    losses = {}
    for run in runs:
        forced = {k: v for k, v in given.items() if k != "keep_pattern"}
        forced |= {"protect_first": run[0], "protect_last": 8 - run[1] - 1}
        losses[run] = prunekit.search(searcher="exhaustive", budget=2, **forced).pruned.loss
    assert found.removed == min(losses, key=losses.get)
    assert found.pruned.loss == min(losses.values())


def test_by_default_a_quarter_goes_in_whole_periods(given, tiny_model):
    def budget(n_blocks, **more):
        model = str(tiny_model("gemma2", n_blocks=n_blocks, sliding_window=4))
        config = parse({**given, "model": model, **more}, load())
        return prepare(config, load()).problem.budget

    del given["workdir"]
    assert [budget(4), budget(8), budget(14)] == [2, 2, 2]
    assert budget(14, keep_pattern=False) == 3


def test_a_mix_keeps_the_pattern_too(given):
    mix = {"mix": {"parts": "ppl:1,kl:1"}, "kl": given["ppl"]}
    found = prunekit.search(searcher="greedy", objective="mix", **given, **mix)
    assert [block % 2 for block in found.kept] == [0, 1] * 3


def test_a_budget_of_no_whole_periods_is_refused_before_anything_is_loaded(given, tmp_path):
    with pytest.raises(ConfigError, match="the budget is 3, .* choose one of: 2, 4, 6;"):
        prunekit.search(budget=3, **given)
    assert not (tmp_path / "work").exists()
    del given["workdir"]
    with pytest.raises(ConfigError, match="the budget is 3, but --keep-pattern"):
        estimate(prepare(parse({**given, "budget": 3}, load()), load()))


def test_models_without_a_pattern_are_searched_block_by_block(quick):
    found = prunekit.search(searcher="one-shot", keep_pattern=True, **quick)
    assert (found.budget, found.work.asked) == (3, 8)


def test_the_command_tells_before_the_search_and_with_the_export(prunekit, alternating):
    command = ["search", "--model", alternating, "--searcher", "one-shot", "-k", 1, *QUICK]
    status, _, err = prunekit(*command, "--save", "a")
    before, after, saved, *_ = err.splitlines()
    assert (status, saved) == (0, "saved a")
    assert before.startswith("note: the kinds of blocks repeat every 2 blocks (layer_types)")
    assert after.startswith("note: a: the kinds of its blocks (layer_types) no longer repeat")
    assert prunekit(*command, "--save", "b", "--quiet")[2] == ""
    assert prunekit(*command)[2] == ""
    status, _, err = prunekit(*command[:5], "--keep-pattern", *QUICK, "--save", "c")
    assert (status, "saved c" in err.splitlines(), "kinds" in err) == (0, True, False)
    assert "note: the kinds of its blocks" in prunekit("show", "a")[1]


def test_a_study_keeps_patterns_and_tells_which_budgets_cannot(given, tmp_path, tiny_model):
    shared = {
        "models": {"two": {"model": given["model"]}, "plain": {"model": str(tiny_model())}},
        "objectives": {"ppl": given["ppl"]},
        "searchers": ["greedy", "genetic"],
        "budgets": [2, 3],
        "keep_pattern": True,
        "name": "kept",
    }
    outcome = prunekit.study(shared, workdir=tmp_path / "work")
    kept = {
        (r.cell.model, r.cell.budget): [i % 2 for i in range(8) if i not in r.removed]
        for r in outcome.results
    }
    assert kept.keys() == {("two", 2), ("plain", 2), ("plain", 3)}
    assert kept["two", 2] == [0, 1] * 3
    assert {f.cell.budget for f in outcome.failures} == {3}
    assert all("choose one of: 2, 4, 6" in failure.error for failure in outcome.failures)
