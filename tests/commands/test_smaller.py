"""A run gives smaller choices, too, where its search passed them."""

import json

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.driver import Driver
from prunekit.core.problem import Problem
from prunekit.engine.result import check_result
from prunekit.plugins.searchers.genetic import Genetic
from prunekit.plugins.searchers.greedy import Greedy
from prunekit.testing import toy_loss


def best_of(searcher, budget):
    driver = Driver(searcher, Problem(9, budget))
    return driver.run(lambda subsets: list(map(toy_loss, subsets)))


def test_those_of_greedy_are_what_it_chooses_with_that_budget():
    whole = best_of(Greedy(), 5)
    assert whole.best_smaller() == [best_of(Greedy(), k).removed for k in range(1, 5)]


def test_a_loss_that_is_not_finite_recommends_nothing():
    def broken(subsets):
        return [toy_loss(s) if len(s) != 2 else float("inf") for s in subsets]

    driver = Driver(Greedy(), Problem(9, 3)).run(broken)
    assert list(map(len, driver.best_smaller())) == [1]


def test_genetic_begins_with_single_blocks_and_passes_no_others():
    driver = best_of(Genetic(), 4)
    assert driver.best_smaller() == [
        min(filter(lambda s: len(s) == 1, driver.losses), key=toy_loss)
    ]


@pytest.fixture
def run(quick):
    return prunekit.search(**quick, finalists=0)


def test_a_run_exports_them(run, quick, tmp_path):
    place = {"run": run.run, "workdir": quick["workdir"]}
    for budget in (1, 2, 3):
        to = tmp_path / f"without-{budget}"
        prunekit.export(**place, budget=budget, to=to)
        record = json.loads((to / "prunekit.json").read_text())
        expected = run.removed if budget == 3 else run.smaller[str(budget)]
        assert record["removed"] == list(expected)
        assert len(expected) == budget
        assert (record["search"] is None) == (budget < 3)


@pytest.mark.parametrize("budget", [0, 4, 99])
def test_others_are_refused_with_those_that_it_has(run, quick, tmp_path, budget):
    with pytest.raises(ConfigError, match=f"budget {budget}: .*; this run has 1, 2, 3; ") as caught:
        prunekit.export(
            run=run.run, budget=budget, workdir=quick["workdir"], to=tmp_path / "nothing"
        )
    assert "\n" not in str(caught.value)


def test_without_a_run_there_are_none(quick, tmp_path):
    with pytest.raises(ConfigError, match="budget 2: only a run has smaller choices"):
        prunekit.export(quick["model"], remove=[1, 2, 3], budget=2, to=tmp_path / "nothing")
    with pytest.raises(ConfigError, match="budget 2: only a run|give either a run"):
        prunekit.evaluate(quick["model"], budget=2, workdir=quick["workdir"])
    with pytest.raises(ConfigError, match="--baseline compares"):
        prunekit.evaluate(quick["model"], budget=2, baseline="demo", workdir=quick["workdir"])


@pytest.mark.parametrize("smaller", [{"3": [0, 1, 2]}, {"2": [1, 1]}, {"x": [1]}, {"1": [8]}])
def test_a_file_with_others_is_damaged(run, smaller):
    row = json.loads(run.to_json())
    check_result(row)
    with pytest.raises(ValueError, match="smaller|removed"):
        check_result({**row, "smaller": smaller})
