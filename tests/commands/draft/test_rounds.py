"""Rounds are counted as a draft and its target would take them, one after the other."""

import random

import pytest

from prunekit.core import ConfigError
from prunekit.plugins.commands.draft.numbers import numbers_in
from prunekit.plugins.commands.draft.rounds import Rounds, expected_tokens, replay, speedup

END = 0


def words_of(seed, rate):
    """A model that is any function of what it has read: a target, and a draft that is often it."""

    def target(read):
        return random.Random(f"{seed} {read}").randrange(12)

    def draft(read):
        rng = random.Random(f"{seed} draft {read}")
        return target(read) if rng.random() < rate else rng.randrange(12)

    return target, draft


def alone(target, most):
    text = []
    while len(text) < most and text[-1:] != [END]:
        text.append(target(text))
    return text


def with_draft(target, draft, lookahead, most):
    """Draft and verify by hand; return the text and the forwards of the target."""
    text, forwards = [], 0
    while len(text) < most and text[-1:] != [END]:
        proposed = []
        while len(proposed) < min(lookahead, most - len(text) - 1) and proposed[-1:] != [END]:
            proposed.append(draft(text + proposed))
        forwards += 1
        verdicts = [target(text + proposed[:n]) for n in range(len(proposed) + 1)]
        for wanted, found in zip(verdicts, [*proposed, None], strict=True):
            text.append(wanted)
            if wanted != found or wanted == END:
                break
    return text, forwards


@pytest.mark.parametrize("rate", [0.0, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("lookahead", [1, 2, 3, 8])
def test_a_replay_counts_what_drafting_and_verifying_by_hand_counts(rate, lookahead):
    for seed in range(30):
        target, draft = words_of(seed, rate)
        text, forwards = with_draft(target, draft, lookahead, most=20)
        assert text == alone(target, 20)
        right = [draft(text[:n]) == word for n, word in enumerate(text)]
        found = replay(right, lookahead, 20)
        assert (found.tokens, found.forwards) == (len(text), forwards)


def test_the_formula_by_hand():
    """1 + 0.8 + 0.64 + 0.512, and over 3 steps of a fifth and one of the target."""
    assert expected_tokens(0.8, 3) == pytest.approx(2.952)
    assert expected_tokens(0.8, 3) == pytest.approx((1 - 0.8**4) / (1 - 0.8))
    assert speedup(2.952, 3, 0.2) == pytest.approx(1.845)


def test_the_formula_is_the_mean_of_replays_where_places_are_independent():
    rng = random.Random(0)
    right = [rng.random() < 0.7 for _ in range(200_000)]
    found = replay(right, 4, len(right)).per_forward
    assert found == pytest.approx(expected_tokens(0.7, 4), rel=0.01)


def test_a_draft_pays_with_one_ahead_where_it_is_right_more_often_than_it_costs():
    """Corollary 3.9 of the paper."""
    for right, cost in ((0.5, 0.4), (0.5, 0.6), (0.9, 0.89), (0.9, 0.91)):
        assert (speedup(expected_tokens(right, 1), 1, cost) > 1) == (right > cost)


def test_rounds_of_several_texts_add_up():
    assert sum([Rounds(4, 2, 3), Rounds(5, 1, 4)], Rounds()) == Rounds(9, 3, 7)


@pytest.mark.parametrize("text", ["", "0", "0-3", "4-2", "a", "1;2", "-1", "1.5", "1,,2"])
def test_what_lists_no_numbers(text):
    with pytest.raises(ConfigError, match="lookahead: expected numbers from 1, as 2,4,8 or 1-8"):
        numbers_in(text, "lookahead")
