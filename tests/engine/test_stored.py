"""A record that was written to a file and read again is the same."""

import json
import math
from dataclasses import replace

import pytest

from prunekit.engine.result import Difference, Reading, RunnerUp, SearchResult, Work, check_result
from prunekit.engine.stored import check_stored, restored

RESULT = SearchResult(
    **{"model": "m", "weights": "w", "searcher": "greedy", "objective": "ppl", "unit": "nats"},
    **{"seed": 0, "n_blocks": 3, "budget": 1, "removed": (1,), "kept": (0, 2)},
    dense=Reading(2.5, {"perplexity": 12.0}),
    pruned=Reading(math.inf, {"perplexity": math.inf}),
    difference=Difference(None, None),
    runner_up=RunnerUp((2,), Difference(0.5, None)),
    **{"parameters": 9, "parameters_removed": 3},
    work=Work(5, 4, 12, 15, 0.5),
    versions={"torch": "2"},
    run="runs/a",
)


@pytest.mark.parametrize("result", [RESULT, replace(RESULT, runner_up=None, begins_with="<s>")])
def test_a_stored_result_is_restored_as_it_was(result):
    row = json.loads(result.to_json())
    check_result(row)
    assert restored(SearchResult, row) == result


def test_what_a_later_version_adds_is_passed_over_and_what_an_earlier_one_lacks_is_its_default():
    row = json.loads(RESULT.to_json()) | {"new": 1}
    row["work"]["new"] = 1
    del row["tokenizer"], row["begins_with"]
    check_result(row)
    assert restored(SearchResult, row) == RESULT


@pytest.mark.parametrize(
    ("change", "message"),
    [({"work": {"asked": 1}}, "a.work.measured is missing"), ({"run": 1}, "a.run cannot be 1")],
)
def test_a_field_that_is_wrong_is_named_with_its_place(change, message):
    with pytest.raises(ValueError, match=message):
        check_stored(json.loads(RESULT.to_json()) | change, SearchResult, "a", pruned=object)


def test_a_field_without_a_default_is_needed():
    row = json.loads(RESULT.to_json())
    del row["kept"]
    with pytest.raises(ValueError, match="^kept is missing$"):
        check_result(row)
