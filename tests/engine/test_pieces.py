"""Measurements in little memory: what is kept is found again, and shared parts are kept once."""

import math
import random
from array import array

import pytest

from prunekit.core.problem import DENSE
from prunekit.engine.pieces import Pieces, key_of, subset_of

WEIGHTS = {(0, 2): (3.0, 1.0), (2, 3): (2.0,), (0, 3): (3.0, 1.0, 2.0), (1, 2): (1.0,)}


def random_pieces(seed, count=200):
    chance = random.Random(seed)
    for _ in range(count):
        subset = frozenset(chance.sample(range(5), chance.randint(0, 2)))
        span = chance.choice(sorted(WEIGHTS))
        size = span[1] - span[0]
        yield subset, span, tuple(chance.choice([1.0, 2.5, math.inf]) for _ in range(size))


def keep(pieces, subset, span, sums, smallest):
    frame = pieces.frame(span, WEIGHTS[span])
    pieces.keep(key_of(subset), frame, array("d", sums), smallest)


@pytest.mark.parametrize("smallest", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_of_several_on_one_span_the_first_or_the_smallest_is_kept(seed, smallest):
    pieces, expected = Pieces(), {}
    for subset, span, sums in random_pieces(seed):
        keep(pieces, subset, span, sums, smallest)
        values = expected.setdefault(subset, {}).setdefault(span, (sums, WEIGHTS[span]))
        if smallest:
            expected[subset][span] = min(values, (sums, WEIGHTS[span]))
    assert pieces == expected
    assert len(pieces) == len(expected)
    assert {s: pieces.spans(s) for s in pieces} == {s: sorted(expected[s]) for s in expected}


def test_a_subset_that_was_not_measured_is_not_there():
    pieces = Pieces()
    keep(pieces, frozenset({1}), (0, 2), (1.0, 1.0), smallest=False)
    assert DENSE not in pieces
    assert (pieces.spans(DENSE), pieces.get(DENSE)) == ([], None)


def test_the_end_is_that_of_the_last_span_of_all():
    pieces = Pieces()
    assert pieces.end == 0
    keep(pieces, DENSE, (2, 3), (1.0,), smallest=False)
    keep(pieces, DENSE, (0, 2), (1.0, 1.0), smallest=False)
    assert pieces.end == 3


def test_a_later_span_overlaps_nothing_and_a_piece_is_recognised():
    pieces, key, sums = Pieces(), b"1, 3", array("d", [1.0, 2.0])
    first, later = (pieces.frame(span, WEIGHTS[span]) for span in ((0, 2), (2, 3)))
    assert not pieces.overlaps(key, first)
    pieces.keep(key, first, sums, smallest=False)
    assert (pieces.overlaps(key, first), pieces.overlaps(key, later)) == (True, False)
    assert pieces.holds(key, first, sums)
    assert not pieces.holds(key, first, array("d", [1.0, 2.5]))
    assert not pieces.holds(key, pieces.frame((0, 2), (3.0, 9.0)), sums)


def test_weights_that_subsets_share_are_kept_once():
    pieces = Pieces()
    for i in range(50):
        keep(pieces, frozenset({i}), (0, 2), (float(i), 1.0), smallest=False)
    assert len({id(pieces[frozenset({i})][0, 2][1]) for i in range(50)}) == 1


@pytest.mark.parametrize("subset", [DENSE, frozenset({0}), frozenset({12, 9, 100})])
def test_the_text_of_a_subset_names_it(subset):
    assert subset_of(key_of(subset)) == subset
