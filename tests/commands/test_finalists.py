"""A search chooses among its best subsets on held-out samples."""

import pytest

import prunekit
from prunekit.core import ConfigError
from prunekit.core.errors import Remark
from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.engine.config import parse
from prunekit.engine.finalists import held_out_plan
from prunekit.engine.held_out import times_held_out
from prunekit.engine.opening import open_session
from prunekit.engine.plan import resolve

ALL = {"data": "demo", "samples": 128, "length": 24}


def test_the_choice_of_a_search_is_the_best_of_its_finalists(quick):
    result = prunekit.search(searcher="greedy", **quick)
    held = result.held_out
    assert frozenset(result.removed) == held.winner
    registry = load()
    plan = resolve(parse({k: v for k, v in quick.items() if k != "workdir"}, registry), registry)
    with open_session(held_out_plan(plan, times_held_out(4)), quick["workdir"]) as session:
        subsets = [frozenset(f.removed) for f in held.finalists]
        losses = session.losses(subsets)
        assert losses == [f.held_out for f in held.finalists] == sorted(losses)
        assert session.losses([DENSE]) == [held.dense]
    ranked = {f.found_by for f in held.finalists}
    assert "greedy" in ranked
    assert ranked <= {"greedy", "angular", "block-influence", "relative-magnitude"}


def test_without_finalists_the_search_alone_chooses(quick):
    result = prunekit.search(searcher="greedy", finalists=0, **quick)
    finalists = prunekit.search(searcher="greedy", **quick).held_out.finalists
    own = min((f for f in finalists if f.found_by == "greedy"), key=lambda f: f.loss)
    assert result.held_out is None
    assert result.removed == own.removed


def test_a_ranking_is_not_overruled_by_others(quick):
    assert prunekit.search(searcher="angular", **quick).held_out is None


def test_data_without_anything_left_is_said(quick):
    with pytest.warns(Remark, match="no samples are held out, so the choice rests on"):
        result = prunekit.search(searcher="one-shot", **{**quick, "ppl": ALL})
    assert result.held_out is None


def test_a_negative_number_of_finalists_is_refused(quick):
    with pytest.raises(ConfigError, match="finalists"):
        prunekit.search(searcher="one-shot", finalists=-1, **quick)
