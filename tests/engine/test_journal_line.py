"""What a journal refuses to believe: damaged, impossible and contradicting lines."""

import json
import math
import zlib

import pytest

from prunekit.core.errors import StorageError
from prunekit.engine.journal import Journal

KEY = {"weights": "abc", "objective": "ppl"}
A, B = frozenset({1}), frozenset({2, 5})
PIECES = [(A, (0, 2), ((1.5, 0.1), (3.0, 3.0))), (B, (0, 2), ((2.5, math.inf), (3.0, 3.0)))]
GOOD = {"removed": [1, 3], "samples": [0, 2], "sums": [1.5, None], "weights": [3, 2.5]}
BAD = {
    "removed": ["[true]", "[1.0]", '["1"]', "[-1]", "[8]", "[3, 1]", "[1, 1]", "3", "null"],
    "samples": ["[0]", "[2, 0]", "[0, 0]", "[-1, 1]", "[3, 5]", "[false, 2]", "[0.0, 2.0]", "{}"],
    "sums": ["[NaN, 1]", "[-Infinity, 1]", '["1", 1]', "[true, 1]", "[1e999, 1]", "[1]", "null"],
    "weights": [
        *("[null, 1]", "[-1, 1]", "[0, 1]", "[NaN, 1]", "[Infinity, 1]", "[1e999, 1]", "[true, 1]"),
        *('["1", 1]', "[[1], 1]", "[1, 1, 1]", "{}", f"[{10**400}, 1]", "[" * 100_000),
    ],
}


def write(folder, *lines, schema=2, name="a"):
    folder.mkdir(exist_ok=True)
    head = json.dumps({"schema": schema, "describes": KEY})
    (folder / f"{name}.jsonl").write_text("".join(line + "\n" for line in (head, *lines)))


def line_of(row, **raw):
    """A line of schema 2, with its checksum; `raw` replaces values by any text."""
    body = "{" + ", ".join(f'"{k}": {raw.get(k, json.dumps(v))}' for k, v in row.items())
    return f'{body}, "check": "{zlib.crc32(body.encode()):08x}"}}'


def opened(folder):
    return Journal(folder, KEY, n_blocks=8, n_samples=4)


@pytest.mark.parametrize(("key", "text"), [(key, text) for key in BAD for text in BAD[key]])
@pytest.mark.parametrize("schema", [1, 2])
def test_a_value_that_no_measurement_gives_is_refused(tmp_path, key, text, schema):
    bad = line_of(GOOD, **{key: text})
    good = line_of(GOOD)
    if schema == 1:
        good, bad = (line[: -len(', "check": "00000000"}')] + "}" for line in (good, bad))
    write(tmp_path, good, schema=schema)
    assert opened(tmp_path).known == {frozenset({1, 3}): {(0, 2): ((1.5, math.inf), (3.0, 2.5))}}
    write(tmp_path, good, bad, schema=schema)
    with pytest.raises(StorageError, match=r"a\.jsonl:3: not a line of this journal") as caught:
        opened(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_no_byte_that_is_changed_changes_a_number(tmp_path):
    Journal(tmp_path, KEY).append(PIECES)
    (path,) = tmp_path.glob("*.jsonl")
    whole, known = path.read_bytes(), Journal(tmp_path, KEY).known
    assert len(known) == 2
    refused = 0
    for place in range(len(whole)):
        for flip in (1, 2, 16):
            changed = bytearray(whole)
            changed[place] ^= flip
            path.write_bytes(changed)
            try:
                found = Journal(tmp_path, KEY).known
            except StorageError:
                refused += 1
            else:  # the end of the last line is gone: it counts as torn
                assert found == {A: known[A]}
                assert place == len(whole) - 1
    assert refused == 3 * (len(whole) - 1)


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        (2, json.dumps(GOOD)),
        (1, line_of(GOOD)),
        (2, line_of(GOOD)[:-3] + 'g"}'),
        (2, line_of({**GOOD, "note": 1})),
        (2, line_of(GOOD).replace("1.5", "1.6")),
    ],
)
def test_a_line_without_the_right_check_sum_is_refused(tmp_path, schema, line):
    write(tmp_path, line, schema=schema)
    with pytest.raises(StorageError, match=r"a\.jsonl:2: not a line of this journal"):
        opened(tmp_path)


def test_bytes_that_are_no_text_are_refused_by_their_line(tmp_path):
    Journal(tmp_path, KEY).append(PIECES)
    with next(tmp_path.glob("*.jsonl")).open("ab") as file:
        file.write(b"\xff\xfe\n")
    with pytest.raises(StorageError, match=r"\.jsonl:4: not a line of this journal"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"sums": [1.5, 9.0]},
        {"sums": [None, None]},
        {"sums": [1.5, 2.0]},
        {"weights": [3, 2]},
        {"samples": [1, 3], "sums": [7.0, 7.0]},
        {"samples": [0, 1], "sums": [2.0], "weights": [3]},
        {"samples": [0, 4], "sums": [9.0, None, 1.0, 1.0], "weights": [3, 2.5, 1, 1]},
    ],
)
@pytest.mark.parametrize("apart", [True, False])
def test_lines_that_contradict_each_other_are_refused_and_both_are_named(tmp_path, change, apart):
    lines = line_of(GOOD), line_of({**GOOD, **change})
    if apart:
        write(tmp_path, lines[0])
        write(tmp_path, lines[1], name="b")
    else:
        write(tmp_path, *lines)
    wrong, other = ("b.jsonl:2", "a.jsonl:2") if apart else ("a.jsonl:3", "a.jsonl:2")
    with pytest.raises(StorageError, match=rf"{wrong}: .* blocks 1,3 .* than {other}; "):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("dtype", "gap", "is_rounding"),
    [
        ("float32", 0.01, True),
        ("float32", 0.1, False),
        ("bfloat16", 0.33, True),
        ("bfloat16", 2.4, False),
        ("float16", 2.4, False),
    ],
)
def test_what_another_processor_changes_is_no_contradiction(tmp_path, dtype, gap, is_rounding):
    key = {**KEY, "dtype": dtype}
    one, other = Journal(tmp_path, key), Journal(tmp_path, key)
    one.append([(A, (0, 2), ((1.5, 2.0), (1.0, 1.0)))])
    other.append([(A, (0, 3), ((1.5 + gap, 2.0, 1.0), (1.0, 1.0, 1.0)))])
    if is_rounding:
        assert set(Journal(tmp_path, key).known[A]) == {(0, 2), (0, 3)}
    else:
        with pytest.raises(StorageError, match="says something else"):
            Journal(tmp_path, key)


@pytest.mark.parametrize(("sums", "weight"), [((10.0, 12.4), 1.0), ((300.0, 330.0), 95.0)])
def test_in_16_bits_too_sums_far_apart_are_refused(tmp_path, sums, weight):
    key = {**KEY, "dtype": "bfloat16"}
    for x, journal in [(x, Journal(tmp_path, key)) for x in sums]:
        journal.append([(A, (0, 1), ((x,), (weight,)))])
    with pytest.raises(StorageError, match="says something else"):
        Journal(tmp_path, key)


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_of_lines_that_agree_the_smallest_counts_whatever_the_segments_are_called(tmp_path, names):
    for name, x in zip(names, (1.5, 1.501), strict=True):
        write(tmp_path, line_of({**GOOD, "sums": [x, 2.0]}), name=name)
    (values,) = opened(tmp_path).known[frozenset(GOOD["removed"])].values()
    assert values[0] == (1.5, 2.0)


def test_pieces_that_share_no_sample_contradict_nothing(tmp_path):
    far = {"samples": [2, 4], "sums": [100.0, 100.0]}
    write(tmp_path, line_of({**GOOD, **far}), line_of(GOOD), line_of({**GOOD, "removed": []}))
    assert len(opened(tmp_path).known) == 2
