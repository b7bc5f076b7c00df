"""The journal: what is written is never lost, and never mistaken."""

import json
import math

import pytest

from prunekit.core.errors import StorageError
from prunekit.engine.journal import Journal

KEY = {"weights": "abc", "objective": "ppl"}
A, B = frozenset({1}), frozenset({2, 5})
PIECES = [(A, (0, 2), ((1.5, 0.1), (3.0, 3.0))), (B, (0, 2), ((2.5, math.inf), (3.0, 3.0)))]


def segment(folder):
    (path,) = folder.glob("*.jsonl")
    return path


def test_what_was_written_is_read_back_to_the_last_bit(tmp_path):
    Journal(tmp_path, KEY).append(PIECES)
    again = Journal(tmp_path, KEY)
    assert again.known == {s: {span: values} for s, span, values in PIECES}


def test_a_number_that_is_not_finite_is_null_in_the_file(tmp_path):
    Journal(tmp_path, KEY).append(PIECES)
    rows = [json.loads(line) for line in segment(tmp_path).read_text().splitlines()]
    assert rows[0] == {"schema": 2, "describes": KEY}
    assert rows[2].pop("check")
    assert rows[2] == {
        "removed": [2, 5],
        "samples": [0, 2],
        "sums": [2.5, None],
        "weights": [3.0, 3.0],
    }


def test_a_file_cut_anywhere_is_read_up_to_its_last_whole_line(tmp_path):
    Journal(tmp_path, KEY).append(PIECES)
    whole = segment(tmp_path).read_bytes()
    for length in range(len(whole)):
        segment(tmp_path).write_bytes(whole[:length])
        lines = whole[:length].count(b"\n")
        assert len(Journal(tmp_path, KEY).known) == max(0, lines - 1)
    assert segment(tmp_path).read_bytes() == whole[:-1], "a torn file is never repaired in place"


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    Journal(tmp_path, KEY).append(PIECES)
    lines = segment(tmp_path).read_text().split("\n")
    lines[1] = lines[1][:20]
    segment(tmp_path).write_text("\n".join(lines))
    with pytest.raises(StorageError, match=r"\.jsonl:2: not a line of this journal"):
        Journal(tmp_path, KEY)


@pytest.mark.parametrize(
    "line",
    ['{"removed": [1], "samples": [0, 2], "sums": [1.0], "weights": [1.0, 1.0]}', "[]", "3", "{}"],
)
def test_a_line_that_is_no_piece_is_named(tmp_path, line):
    Journal(tmp_path, KEY).append(PIECES)
    with segment(tmp_path).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(StorageError, match=r"\.jsonl:4: not a line of this journal"):
        Journal(tmp_path, KEY)


def test_a_journal_of_other_data_is_refused(tmp_path):
    Journal(tmp_path, KEY).append(PIECES)
    with pytest.raises(StorageError, match="another model, objective or calibration set"):
        Journal(tmp_path, {**KEY, "weights": "def"})


def test_two_processes_write_two_segments(tmp_path):
    first, second = Journal(tmp_path, KEY), Journal(tmp_path, KEY)
    first.append(PIECES[:1])
    second.append(PIECES[1:])
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert set(Journal(tmp_path, KEY).known) == {A, B}


def test_segments_from_before_there_were_check_sums_are_read(tmp_path):
    piece = {"removed": [1], "samples": [0, 1], "sums": [None], "weights": [3]}
    lines = {"schema": 1, "describes": KEY}, piece
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    journal = Journal(tmp_path, KEY)
    journal.append(PIECES[1:])
    again = Journal(tmp_path, KEY).known
    assert again == journal.known == {A: {(0, 1): ((math.inf,), (3.0,))}, B: again[B]}


def test_what_another_process_wrote_meanwhile_is_seen_line_by_line(tmp_path):
    reader, writer = Journal(tmp_path, KEY), Journal(tmp_path, KEY)
    writer.append(PIECES[:1])
    reader.refresh()
    assert set(reader.known) == {A}
    whole = segment(tmp_path).read_bytes()
    writer.append(PIECES[1:])
    more = segment(tmp_path).read_bytes()
    for length in range(len(whole), len(more)):
        segment(tmp_path).write_bytes(more[:length])
        reader.refresh()
        assert set(reader.known) == {A}
    segment(tmp_path).write_bytes(more)
    reader.refresh()
    assert reader.known == writer.known


def test_reading_writes_nothing(tmp_path):
    Journal(tmp_path / "new", KEY)
    assert not (tmp_path / "new").exists()


def test_spans_of_different_batch_sizes_are_joined(tmp_path):
    journal = Journal(tmp_path, KEY)
    ones = (1.0, 1.0)
    journal.append([(A, (0, 2), ((1.0, 2.0), ones)), (A, (0, 3), ((1.0, 2.0, 3.0), (1.0,) * 3))])
    assert journal.recall(A, 4) is None
    journal.append([(A, (2, 4), ((3.0, 4.0), ones))])
    assert [sums for sums, _ in journal.recall(A, 4)] == [(1.0, 2.0), (3.0, 4.0)]


def test_a_disk_that_is_full_is_one_line(tmp_path, monkeypatch):
    import prunekit.engine.journal

    journal = Journal(tmp_path, KEY)
    journal.append(PIECES[:1])

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prunekit.engine.journal, "_write", full)
    with pytest.raises(
        StorageError, match="No space left on device. All earlier measurements are safe"
    ):
        journal.append(PIECES[1:])
    assert set(Journal(tmp_path, KEY).known) == {A}


@pytest.mark.parametrize("part", [0.0, 0.2, 0.6, 0.9])
@pytest.mark.parametrize("before", [0, 1])
def test_after_a_write_that_failed_half_way_a_new_segment_is_begun(
    tmp_path, monkeypatch, part, before
):
    import prunekit.engine.journal

    journal, write = Journal(tmp_path, KEY), prunekit.engine.journal._write
    if before:
        journal.append(PIECES[:before])

    def full(path, text):
        write(path, text[: int(part * len(text))])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(prunekit.engine.journal, "_write", full)
        with pytest.raises(StorageError):
            journal.append(PIECES[before:])
    journal.append(PIECES[before:])
    assert set(Journal(tmp_path, KEY).known) == {A, B}
