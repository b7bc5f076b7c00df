"""Reading lines quickly: what was written is, and nothing is believed that `read_line` refuses."""

import json
import random
import zlib

import pytest

from prunekit.engine import journal_scan
from prunekit.engine.journal_line import LENGTH, read_line, write_line
from prunekit.engine.journal_scan import LineReader
from prunekit.engine.pieces import Pieces, subset_of

LIMITS = 12, 8
WEIGHTS = {(0, 4): (3.0, 1.0, 2.0, 5.0), (4, 8): (1.0, 1.0, 7.0, 1.0)}
FRAGMENTS = ["0", "1", ".", ",", " ", "[", "]", "-", "e9", "null", "true", "NaN", '"', "_", "+"]


def lines(seed, count):
    chance = random.Random(seed)
    for number in range(count):
        subset = frozenset(chance.sample(range(12), chance.randint(0, 4)))
        span = chance.choice(sorted(WEIGHTS))
        sums = [chance.choice([1.0, -2.5, 1e-30, 0.1 * number]) for _ in range(4)]
        yield write_line(subset, span, (tuple(sums), WEIGHTS[span])).encode()


def as_read(pieces, line):
    span, values = pieces.piece(line.frame, line.sums)
    return subset_of(line.key), span, values


def either(read, line):
    """What comes of a line: its piece, or that it is refused."""
    try:
        return read(line)
    except ValueError:
        return "refused"


@pytest.fixture
def reader():
    pieces = Pieces()
    reader = LineReader(pieces, *LIMITS)
    return lambda line: as_read(pieces, reader.read(line, True))


def test_what_was_written_is_read_to_the_last_bit(reader):
    for line in lines(0, 100):
        assert reader(line) == read_line(line, True, *LIMITS)


def test_only_the_first_line_of_each_span_is_read_slowly(reader, monkeypatch):
    slow = []

    def noting(line, *given):
        slow.append(line)
        return read_line(line, *given)

    monkeypatch.setattr(journal_scan, "read_line", noting)
    for line in lines(1, 100):
        reader(line)
    assert len(slow) == len(WEIGHTS)


@pytest.mark.parametrize("seed", range(4))
def test_an_altered_line_with_a_right_check_sum_is_believed_only_if_read_line_does(reader, seed):
    for line in lines(0, 20):
        reader(line)
    chance = random.Random(seed)
    outcomes = set()
    for line in lines(seed, 400):
        body = line[:-LENGTH].decode()
        at = chance.randrange(len(body))
        body = body[:at] + chance.choice(FRAGMENTS) + body[at + chance.randint(0, 1) :]
        altered = f'{body}, "check": "{zlib.crc32(body.encode()):08x}"}}'.encode()
        expected = either(lambda text: read_line(text, True, *LIMITS), altered)
        assert either(reader, altered) == expected
        outcomes.add(expected == "refused")
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    "body",
    [
        '{"samples": [0, 4], "removed": [1], "sums": [1, 2, 3, 4], "weights": [3, 1, 2, 5]',
        '{"removed": [1], "samples": [0, 4], "weights": [3, 1, 2, 5], "sums": [1, 2, 3, 4]',
        '{ "removed": [1], "samples": [0,4], "sums": [1, 2, 3, 4], "weights": [3, 1, 2, 5]',
        '{"removed": [1], "samples": [0, 4], "sums": [1, null, 3, 4], "weights": [3, 1, 2, 5]',
    ],
)
def test_other_forms_of_the_same_are_read_too(reader, body):
    for line in lines(0, 20):
        reader(line)
    line = f'{body}, "check": "{zlib.crc32(body.encode()):08x}"}}'.encode()
    subset, span, (_, weights) = reader(line)
    assert (subset, span, weights) == (frozenset({1}), (0, 4), WEIGHTS[0, 4])
    assert reader(line) == read_line(line, True, *LIMITS)


def test_a_line_without_check_sum_is_read_where_none_is_expected():
    pieces = Pieces()
    row = {"removed": [2], "samples": [0, 1], "sums": [None], "weights": [3]}
    line = LineReader(pieces, *LIMITS).read(json.dumps(row).encode(), False)
    assert as_read(pieces, line) == read_line(json.dumps(row).encode(), False, *LIMITS)
