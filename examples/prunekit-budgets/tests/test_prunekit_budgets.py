"""Each row is what a search with that budget finds, and mistakes cost one line."""

import json

import pytest
from prunekit_budgets import Budgets, row

from prunekit import search
from prunekit.core import ConfigError, PrunekitError

GIVEN = {
    "model": "demo:qwen3",
    "searcher": "greedy",
    "objective": "ppl",
    "device": "cpu",
    "ppl": {"data": "demo", "samples": "2", "length": "24"},
}


def test_each_row_is_the_search_with_that_budget(tmp_path, capsys):
    Budgets().run(GIVEN, to=3, workdir=tmp_path / "all", json=True, quiet=True)
    rows = json.loads(capsys.readouterr().out)
    assert [found["budget"] for found in rows] == [1, 2, 3]
    for found in rows:
        alone = search(**GIVEN, budget=found["budget"], workdir=tmp_path / "alone")
        assert found.pop("run").startswith(str(tmp_path / "all"))
        assert found == {k: v for k, v in row(alone).items() if k != "run"}
        assert found["change"] == pytest.approx(alone.pruned.loss - alone.dense.loss)


def test_what_one_search_measures_no_other_measures_again(tmp_path):
    Budgets().run(GIVEN, to=3, workdir=tmp_path, quiet=True)
    again = search(**{**GIVEN, "searcher": "one-shot"}, budget=1, workdir=tmp_path)
    assert again.work.asked == 16
    assert again.work.measured == 0


def test_the_table_has_a_row_for_each_budget_and_one_for_the_dense_model(tmp_path, capsys):
    Budgets().run(GIVEN, to=2, workdir=tmp_path, quiet=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "demo:qwen3: greedy on ppl, seed 0"
    numbered = [line.split()[0] for line in lines[1:] if line.strip()[:1].isdigit()]
    assert numbered == ["0", "1", "2"]


def test_a_budget_below_one_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="^--to 0: expected at least 1 block"):
        Budgets().run(GIVEN, to=0, workdir=tmp_path)


def test_too_many_blocks_are_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(PrunekitError) as error:
        Budgets().run(GIVEN, to=16, workdir=tmp_path, quiet=True)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
