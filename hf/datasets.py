"""Read rows of data sets from local files or from the hub."""

from __future__ import annotations

import glob
import gzip
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prunekit.core.errors import ConfigError, PrunekitError
from prunekit.core.options import nearest
from prunekit.hf.row_files import Row, json_rows, table_rows, text_rows

if TYPE_CHECKING:
    from datasets import IterableDataset

T = TypeVar("T")
READERS = {
    ".txt": "text",
    ".raw": "text",
    ".jsonl": "json",
    ".json": "json",
    ".csv": "table",
    ".tsv": "table",
    ".parquet": "parquet",
}
CURES = {
    "text": "expected UTF-8 text",
    "json": 'expected one JSON object a line, as {"text": "..."}',
    "table": "expected a line of column names, and as many fields in each row",
    "parquet": "expected a parquet file",
    "gzip": "expected a whole file compressed by gzip",
}
SHUFFLE_BUFFER = 10_000


def file_rows(path: Path, names: str) -> list[dict[str, Any]]:
    """Read the rows of a local file, compressed or not; plain text is one row.

    Raises ConfigError if it cannot be read; `names` are the other accepted values.
    """
    return list(stream_rows(path, names))


def stream_rows(path: Path, names: str) -> Iterator[Row]:
    """Yield the rows of a local file one by one, each with its place, as `file_rows` reads them."""
    check_file(path, names)
    kind = READERS[_ending(path)]
    try:
        yield from _read(path, kind)
    except Exception as error:
        cause = error.__cause__ if kind == "parquet" and error.__cause__ else error
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        what, cure = lines[-1].rstrip("."), CURES[_cause(error, path, kind)]
        raise ConfigError(f"data {str(path)!r} cannot be read: {what}; {cure}") from error


def _cause(error: Exception, path: Path, kind: str) -> str:
    broken = isinstance(error, EOFError | gzip.BadGzipFile | zlib.error)
    return "gzip" if broken and _is_packed(path) else kind


def _read(path: Path, kind: str) -> Iterator[Row]:
    if kind == "text":
        return text_rows(path)
    if kind == "json":
        return json_rows(path)
    if kind == "table":
        return table_rows(path, "\t" if _ending(path) == ".tsv" else ",")
    return _parquet_rows(path)


def _parquet_rows(path: Path) -> Iterator[Row]:
    from datasets import load_dataset

    files = glob.escape(str(path))  # the library would take brackets for a pattern
    rows = load_dataset("parquet", data_files=files, split="train", streaming=True)
    for number, row in enumerate(rows, start=1):
        yield Row(row, f"row {number}")


def check_file(path: Path, names: str) -> None:
    """Raise ConfigError if the file is missing, empty, or of a kind that cannot be read.

    `names` are the other accepted values; the message offers the nearest.
    """
    word = str(path)
    near = nearest(word, names.split(", "))
    hint = f". Did you mean {near!r}?" if near else ""
    if _ending(path) not in READERS:
        raise ConfigError(
            f"data {word!r}: expected {names} or a file that ends in {', '.join(READERS)}{hint}"
        )
    try:
        about = path.stat()
    except FileNotFoundError:
        raise ConfigError(f"data {word!r}: no such file{hint}") from None
    except OSError as error:
        raise ConfigError(f"data {word[:100]!r}: {error.strerror}; name another file") from error
    if not stat.S_ISREG(about.st_mode):
        raise ConfigError(f"data {word!r}: expected a file, not a folder, pipe or device")
    if not about.st_size:
        raise ConfigError(f"data {word!r}: the file is empty; expected text or rows")


def is_plain_text(path: Path) -> bool:
    """Return True if the file is read as one text, not as rows.

    >>> is_plain_text(Path("a.txt.gz")), is_plain_text(Path("a.jsonl"))
    (True, False)
    """
    return READERS.get(_ending(path)) == "text"


def is_table(path: Path) -> bool:
    """Return True if the file holds text under column names, where every value is text.

    >>> is_table(Path("a.tsv.gz")), is_table(Path("a.jsonl"))
    (True, False)
    """
    return READERS.get(_ending(path)) == "table"


def _ending(path: Path) -> str:
    """Return the extension that decides how to read the file, without that of a compression."""
    return (path.with_suffix("") if _is_packed(path) else path).suffix.lower()


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def hub_rows(
    name: str, subset: str | None, split: str, instead: str, seed: int | None = None
) -> IterableDataset:
    """Stream the rows of a data set on the hub; with a seed, shuffled through a buffer.

    Raises ConfigError if it cannot be fetched; `instead` is the advice for use without a network.
    """
    from datasets import load_dataset

    try:
        rows = load_dataset(name, subset, split=split, streaming=True)
        return rows if seed is None else rows.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the data set {name} cannot be fetched ({type(error).__name__}); without a network "
            f"{instead}"
        ) from error


def guarded(rows: Iterable[T], data: str) -> Iterator[T]:
    """Yield the rows. Raises ConfigError if the connection breaks before the last."""
    try:
        yield from rows
    except PrunekitError:
        raise
    except Exception as error:
        raise ConfigError(
            f"data {data!r} broke off ({type(error).__name__}); run the command again"
        ) from error
