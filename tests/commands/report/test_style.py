"""The look of a name in figures: the same in every report, and never that of another name."""

import random

import pytest

from prunekit.plugins.commands.report.style import objective_looks, searcher_looks

SEVEN = ["one-shot", "greedy", "beam", "genetic", "bayesian", "cbo", "fast-block-select"]
MORE = [
    "floating",
    "relative-magnitude",
    "angular",
    "block-influence",
    "swaps",
    "annealing",
    "cbo-plain",
    "mine",
    "random",
]


def both(look):
    return look.get("color", look.get("facecolor")), look.get("marker", look.get("hatch"))


@pytest.mark.parametrize("name", SEVEN + MORE)
def test_a_searcher_looks_the_same_whatever_else_is_in_the_study(name):
    alone = both(searcher_looks([name])[name])
    for seed in range(5):
        others = random.Random(seed).sample(SEVEN + MORE, 6)
        assert both(searcher_looks([*others, name])[name]) == alone


def test_an_objective_looks_the_same_whatever_else_is_in_the_study():
    names = ["ppl", "margin", "kl", "choice", "mix", "mine"]
    together = objective_looks(names)
    assert [objective_looks([name])[name] for name in names] == list(together.values())
    assert objective_looks(names[::-1]) == together


def test_the_searchers_and_objectives_of_the_study_have_colours_of_their_own():
    assert len({look["color"] for look in searcher_looks([*SEVEN, "random"]).values()}) == 8
    names = ["ppl", "margin", "kl", "choice", "mix"]
    assert len({look["facecolor"] for look in objective_looks(names).values()}) == 5


def test_no_two_names_look_alike():
    names = [*SEVEN, *(f"other-{n}" for n in range(30))]
    assert len({both(look) for look in searcher_looks(names).values()}) == len(names)
    names = ["ppl", "margin", *(f"other-{n}" for n in range(20))]
    assert len({both(look) for look in objective_looks(names).values()}) == len(names)


def test_beyond_all_looks_some_repeat():
    names = [f"other-{n}" for n in range(80)]
    assert list(searcher_looks(names)) == names
