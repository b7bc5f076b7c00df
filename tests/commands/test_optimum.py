"""Every searcher beside the true optimum of a model of 12 blocks, of which 4 go."""

import math

import pytest

import prunekit
from prunekit.core.driver import needs_of
from prunekit.core.registry import load

SEARCHERS = [
    e.name
    for e in load().entries
    if e.kind == "searcher" and e.source == "prunekit" and not needs_of(e.cls())
]
NEVER_WORSE_THAN_ONE_SHOT = {"genetic", "bayesian", "cbo", "exhaustive"}


DATA = {"ppl": {"samples": 4, "length": 24}, "margin": {"samples": 4}}


@pytest.mark.parametrize("objective", DATA)
def test_no_searcher_beats_trying_all_and_the_guided_ones_are_no_worse_than_one_shot(
    tiny_model, tmp_path, objective, record_property, monkeypatch
):
    # How stable a choice is says nothing of its loss, and takes a quarter of the time.
    monkeypatch.setattr("prunekit.plugins.commands.search.search.stability", lambda *_: None)
    model = str(tiny_model("qwen3", n_blocks=12))
    given = {"objective": objective, "budget": 4, "workdir": tmp_path}
    given[objective] = {"data": "demo", **DATA[objective]}
    found = {
        name: prunekit.search(model, searcher=name, finalists=0, **given) for name in SEARCHERS
    }
    best = found["exhaustive"]
    assert best.work.asked == math.comb(12, 4)
    gaps = {name: result.pruned.loss - best.pruned.loss for name, result in found.items()}
    for name, gap in gaps.items():
        record_property(name, gap)
    assert len(gaps) == 14
    assert min(gaps.values()) == 0
    assert all(gaps[name] <= gaps["one-shot"] for name in NEVER_WORSE_THAN_ONE_SHOT)
    assert any(gap == 0 for name, gap in gaps.items() if name != "exhaustive")
