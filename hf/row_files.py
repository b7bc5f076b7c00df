"""Parse the rows of local files: JSON, tables with a header, and plain text.

Every row knows its place in the file. The readers raise ValueError, which names the line.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn, cast

SPACE = re.compile(r"[ \t\r\n]*")
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
UTF16 = (b"\xff\xfe", b"\xfe\xff")
UTF8_MARK = b"\xef\xbb\xbf"
LONGEST_FIELD = 2**31 - 1


class Row(dict[str, Any]):
    """The columns of a row, and its place in the file."""

    __slots__ = ("place",)

    def __init__(self, columns: Mapping[str, Any], place: str) -> None:
        super().__init__(columns)
        self.place = place
        """as in `line 3`; empty if the row is the whole file"""


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed if it ends in `.gz`."""
    packed = path.suffix.lower() == ".gz"
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")


def text_rows(path: Path) -> Iterator[Row]:
    """Yield the whole text as one row, with line ends as on Unix."""
    with opened(path) as file:
        text = "".join(line for _, line in _lines(file))
    yield Row({"text": text.replace("\r\n", "\n").replace("\r", "\n")}, "")


def table_rows(path: Path, delimiter: str) -> Iterator[Row]:
    """Yield the rows under a header; a column without a name, as of an index, is left out."""
    csv.field_size_limit(LONGEST_FIELD)
    with opened(path) as file:
        reader = csv.reader((line for _, line in _lines(file)), delimiter=delimiter, strict=True)
        header: list[str] = []
        start = 1
        try:
            for fields in reader:
                if fields and not header:
                    header = _header(fields)
                elif fields:
                    yield _table_row(header, fields, f"line {start}")
                start = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"line {start}: {error}") from error


def _header(fields: list[str]) -> list[str]:
    names = [name.strip() for name in fields]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"its header names the column {name!r} twice")
    return names


def _table_row(header: list[str], fields: list[str], place: str) -> Row:
    if len(fields) != len(header):
        raise ValueError(f"{place} has {len(fields)} fields, the header has {len(header)}")
    named = zip(header, fields, strict=True)
    return Row({name: value for name, value in named if name}, place)


def json_rows(path: Path) -> Iterator[Row]:
    """Yield the objects of JSON lines, of a list, or spread over lines; null is an empty row.

    The library `datasets` is not used, as it gives a column one type: 1 beside 1.5 would become
    1.0, and strings that look like dates would become dates.
    """
    with opened(path) as file:
        if _is_one_value_a_line(file):
            file.seek(0)
            for number, line in _lines(file):
                if start := _solid(line):
                    yield _line_row(line.rstrip(), start - 1, number)
            return
        file.seek(0)
        text = "".join(line for _, line in _lines(file))
    yield from _spread_rows(text)


def _is_one_value_a_line(file: IO[bytes]) -> bool:
    """Return True if the first line with content is a whole value and no list."""
    line = next((line for _, line in _lines(file) if _solid(line)), "").lstrip()
    if line.startswith("["):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return not line.startswith("{")
    return True


def _line_row(line: str, start: int, number: int) -> Row:
    value, end = _decoded(line, start, number)
    if _solid(line, end):
        raise ValueError(f"line {number} goes on after its first value")
    return _row(value, number)


def _spread_rows(text: str) -> Iterator[Row]:
    """Yield the objects of a list, or those that follow each other, with their first lines."""
    at = _after_space(text, 0)
    listed = text.startswith("[", at)
    if listed:
        at = _after_space(text, at + 1)
    number, counted = 1, 0
    while at < len(text) and not (listed and text.startswith("]", at)):
        number, counted = number + text.count("\n", counted, at), at
        value, end = _decoded(text, at, number)
        yield _row(value, number)
        at = _after_space(text, end)
        if listed and not text.startswith("]", at):
            at = _after_comma(text, at)
    if listed and (at == len(text) or _solid(text, at + 1)):
        _fail(text, at, "the list does not end with the file")


def _solid(text: str, start: int = 0) -> int:
    """Return the position after the first character that is no space, or 0."""
    at = _after_space(text, start)
    return at + 1 if at < len(text) else 0


def _after_space(text: str, start: int) -> int:
    found = SPACE.match(text, start)
    return found.end() if found else start


def _after_comma(text: str, at: int) -> int:
    if not text.startswith(",", at):
        _fail(text, at, "expected a comma or the end of the list")
    at = _after_space(text, at + 1)
    if text.startswith("]", at):
        _fail(text, at, "the list has a comma after its last object")
    return at


def _fail(text: str, at: int, what: str) -> NoReturn:
    raise ValueError(f"line {1 + text.count(chr(10), 0, at)}: {what}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names a key twice")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _decoded(text: str, start: int, number: int) -> tuple[Any, int]:
    """Return the value that begins at `start`, in line `number`, and the position after it."""
    try:
        value, end = DECODER.raw_decode(text, start)
        if ESCAPED_SURROGATE.search(text, start, end):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        number += text.count("\n", start, error.pos)
        raise ValueError(f"line {number}: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError(f"line {number} is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"line {number} has half a character, an unpaired surrogate") from error
    except ValueError as error:
        cause = "a number has too many digits" if "digits" in str(error) else str(error)
        raise ValueError(f"line {number}: {cause}") from error
    return value, end


def _row(value: Any, number: int) -> Row:
    if value is None:
        value = {}
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a text", bool: "true or false"}
        raise ValueError(f"line {number} is {kinds.get(type(value), 'a number')}, not an object")
    return Row(value, f"line {number}")


def _lines(file: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, split at line feeds only, without a byte-order mark."""
    for number, line in enumerate(file, start=1):
        if number == 1 and line.startswith(UTF16):
            raise ValueError("it is UTF-16; save it as UTF-8")
        try:
            yield number, line.removeprefix(UTF8_MARK if number == 1 else b"").decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"line {number} is no UTF-8 text") from error
