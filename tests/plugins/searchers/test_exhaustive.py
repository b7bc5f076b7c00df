"""Every subset."""

import pytest

from prunekit.core import ConfigError, Problem
from prunekit.core.driver import Driver
from prunekit.plugins.searchers.exhaustive import Exhaustive


def test_every_subset_is_asked_for_once():
    asked = []

    def evaluate(subsets):
        asked.extend(subsets)
        return [float(sum(s)) for s in subsets]

    choice = Driver(Exhaustive(), Problem(16, 5)).run(evaluate)
    assert len(asked) == len(set(asked)) == 4368
    assert choice.removed == {0, 1, 2, 3, 4}


def test_too_many_subsets_are_refused_with_their_number_and_the_time():
    with pytest.raises(ConfigError, match=r"3,365,856 subsets, 46\.7 hours.*smaller --budget"):
        Driver(Exhaustive(), Problem(32, 7)).run(lambda subsets: [0.0] * len(subsets))
    with pytest.raises(ConfigError, match=r"4,368 subsets, 3\.6 minutes at 0\.05 s each"):
        Driver(Exhaustive(most=100), Problem(16, 5)).run(lambda subsets: [0.0] * len(subsets))


def test_it_refuses_before_a_model_is_loaded(tmp_path, tiny_model, monkeypatch):
    import prunekit
    from prunekit.plugins.commands.search import search

    monkeypatch.setattr(search, "open_session", None)
    with pytest.raises(ConfigError, match="would measure 56 subsets"):
        prunekit.search(
            str(tiny_model("llama3", n_blocks=8)),
            searcher="exhaustive",
            budget=3,
            exhaustive={"most": 55},
            workdir=tmp_path / "work",
        )
    assert not (tmp_path / "work").exists()
