"""Local files: what is a row, where it is, and one line for whatever cannot be read."""

import csv
import gzip
import json
import os
import re
import zlib

import pyarrow
import pyarrow.parquet
import pytest

from prunekit.core import ConfigError
from prunekit.hf import file_rows

GOOD = '{"text": "the dog"}\n'


def read(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file_rows(path, "demo")


def refusal(folder, name, content):
    """The message of the error, which is one line and names the file."""
    with pytest.raises(ConfigError) as caught:
        read(folder, name, content)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    assert name in line
    return line


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (GOOD * 2, ["line 1", "line 2"]),
        (f"\n{GOOD}  \r\n\n{GOOD}", ["line 2", "line 5"]),
        (f"null\n{GOOD}", ["line 1", "line 2"]),
        (f"[\n{GOOD},{GOOD}]", ["line 2", "line 3"]),
        ('{\n"text": "a"\n}\n\n{\n"text": "b"\n}', ["line 1", "line 5"]),
        ("[]", []),
    ],
)
def test_every_row_knows_its_own_line(tmp_path, content, places):
    for name in ("a.jsonl", "a.json"):
        assert [row.place for row in read(tmp_path, name, content)] == places


def test_null_is_a_row_without_columns(tmp_path):
    assert read(tmp_path, "a.jsonl", f"null\n{GOOD}{{}}\n") == [{}, {"text": "the dog"}, {}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line 3 is a list, not an object"),
        ("12", "line 3 is a number, not an object"),
        ('"text"', "line 3 is a text, not an object"),
        ("true", "line 3 is true or false, not an object"),
        ('{"text": "a"} 7', "line 3 goes on after its first value"),
        ('{"text": "a"', "line 3: .* at column"),
        ('{"text": "a", "text": "b"}', "line 3: an object names a key twice"),
        ("[" * 100_000, "line 3 is nested too deeply"),
        ('{"text": "a", "meta": ' + "[" * 900 + "]" * 900 + '"', "line 3"),
        (f'{{"n": {"9" * 4400}}}', "line 3: a number has too many digits"),
        ('{"text": "a \\ud800 b"}', "line 3 has half a character"),
        ('{"meta": ["\\udc00"]}', "line 3 has half a character"),
        ('{"\\uDC00": 1}', "line 3 has half a character"),
        ("x" * 1_000_000, "line 3: Expecting value at column 1"),
    ],
)
def test_a_line_that_is_no_object_is_refused_by_its_number(tmp_path, line, message):
    found = refusal(tmp_path, "a.jsonl", f"\n{GOOD}{line}\n{GOOD}")
    assert re.search(message, found)
    assert "expected one JSON object a line" in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"},\n 5]', "line 2 is a number"),
        ('[{"text": "a"}\n{"text": "b"}]', "line 2: expected a comma"),
        ('[{"text": "a"},\n', "line 2: the list does not end"),
        ('[{"text": "a"}]\n[]', "line 1: the list does not end"),
        ('[{"text": "a"},]', "line 1: the list has a comma after its last"),
        ('{"text":\n"a"\n}\n{"text" 5}', "line 4: Expecting ':'"),
    ],
)
def test_so_is_what_a_list_or_spread_objects_may_not_hold(tmp_path, content, message):
    assert message in refusal(tmp_path, "a.json", content)


def test_a_pair_of_surrogates_is_a_character(tmp_path):
    (row,) = read(tmp_path, "a.jsonl", '{"text": "\\ud83d\\ude00"}')
    assert row["text"] == "\N{GRINNING FACE}"


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv"])
def test_a_mark_at_the_beginning_is_no_text_and_line_ends_may_be_those_of_windows(tmp_path, name):
    unix = {"a.jsonl": GOOD, "a.txt": "the dog\nran\n"}.get(name, "text\nthe dog\n")
    windows = b"\xef\xbb\xbf" + unix.replace("\n", "\r\n").encode()
    assert read(tmp_path, name, windows) == read(tmp_path, name, unix)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.csv"])
def test_other_encodings_are_named(tmp_path, name):
    text = "text\nthe dog\n" if name == "a.csv" else GOOD
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        mark = "" if encoding == "utf-16" else "\ufeff"
        found = refusal(tmp_path, name, (mark + text).encode(encoding))
        assert "it is UTF-16; save it as UTF-8" in found
    found = refusal(tmp_path, name, text.encode() + b'"\xe9"\n')
    assert f"line {text.count(chr(10)) + 1} is no UTF-8 text" in found


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.JSONL"])
def test_a_compressed_file_that_is_cut_off_is_named(tmp_path, name):
    whole = gzip.compress(os.urandom(5000).hex().encode())
    for content in (whole[:2000], b"no gzip", whole[:30] + b"\xff" * 99):
        found = refusal(tmp_path, f"{name}.gz", content)
        assert "expected a whole file compressed by gzip" in found


def test_bytes_that_no_gzip_wrote_are_an_error_of_zlib(tmp_path):
    packed = bytearray(gzip.compress(GOOD.encode() * 500))
    packed[12:40] = b"\xff" * 28
    with pytest.raises((zlib.error, EOFError)):
        gzip.decompress(bytes(packed))
    assert "by gzip" in refusal(tmp_path, "a.jsonl.gz", bytes(packed))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_tables_are_read_as_the_csv_module_writes_them(tmp_path, name):
    rows = [
        {"text": 'He said "no",\nand left.\t', "n": "1"},
        {"text": "", "n": "2020-01-01"},
        {"text": "x" * 200_000, "n": "1.0"},
    ]
    with (tmp_path / name).open("w", newline="") as file:
        writer = csv.DictWriter(
            file, ["text", "n"], delimiter="\t" if name == "a.tsv" else ",", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
    found = file_rows(tmp_path / name, "demo")
    assert found == rows
    assert [row.place for row in found] == ["line 2", "line 4", "line 5"]
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert file_rows(packed, "demo") == rows


def test_blank_lines_and_a_nameless_index_are_no_columns(tmp_path):
    assert read(tmp_path, "a.csv", ",text\n\n0,a\n\n1,b\n") == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,n,text\na,1,b\n", "its header names the column 'text' twice"),
        ("text,n\na,1\n\nb,2,3\n", "line 4 has 3 fields, the header has 2"),
        ("text,n\n\n\nb\n", "line 4 has 1 fields, the header has 2"),
        ('text\na\n"b\n', "line 3: unexpected end of data"),
        ('text\n"a"b\n', "line 2: "),
        ("text\na\rb\rc\r", "line 2: "),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_line(tmp_path, content, message):
    found = refusal(tmp_path, "a.csv", content)
    assert message in found
    assert "expected a line of column names, and as many fields in each row" in found


@pytest.mark.parametrize("name", ["a[1].parquet", "a*b?.parquet", "plain.parquet"])
def test_a_file_is_no_pattern_of_files(tmp_path, name):
    pyarrow.parquet.write_table(pyarrow.table({"text": ["other"]}), tmp_path / "a1.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["mine", None]}), tmp_path / name)
    found = file_rows(tmp_path / name, "demo")
    assert found == [{"text": "mine"}, {"text": None}]
    assert [row.place for row in found] == ["row 1", "row 2"]


@pytest.mark.parametrize("name", ["a[1].txt", "a[1].jsonl", "a[1].csv"])
def test_nor_is_one_of_another_kind(tmp_path, name):
    content = {"a[1].csv": "text\nmine\n", "a[1].txt": "mine"}.get(name, '{"text": "mine"}')
    assert read(tmp_path, name, content) == [{"text": "mine"}]


def test_a_parquet_file_that_is_none_is_named(tmp_path):
    assert "expected a parquet file" in refusal(tmp_path, "a.parquet", b"PAR1 and no more PAR1")
    assert "cannot be read" in refusal(tmp_path, "a.parquet.gz", b"no gzip")


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "jsonl.gz", "parquet"])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, ending):
    os.mkfifo(tmp_path / f"pipe.{ending}")
    (tmp_path / f"folder.{ending}").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(ConfigError, match="expected a file, not a folder, pipe or device"):
            file_rows(tmp_path / f"{name}.{ending}", "demo")
    with pytest.raises(ConfigError, match="name too long"):
        file_rows(tmp_path / f"{'x' * 300}.{ending}", "demo")
    with pytest.raises(ConfigError, match="no such file"):
        file_rows(tmp_path / f"none.{ending}", "demo")


def test_rows_of_a_list_are_those_of_its_lines(tmp_path):
    rows = [{"text": "a", "n": number} for number in range(5)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert read(tmp_path, "a.json", json.dumps(rows)) == read(tmp_path, "a.jsonl", lines) == rows
