"""Read rows of data sets from local files or from the hub."""

from __future__ import annotations

import gzip
import json
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import nearest

if TYPE_CHECKING:
    from datasets import IterableDataset

READERS = {
    ".txt": "text",
    ".raw": "text",
    ".jsonl": "json",
    ".json": "json",
    ".parquet": "parquet",
}


CURES = {
    "text": "expected UTF-8 text",
    "json": 'expected one JSON object a line, as {"text": "..."}',
    "parquet": "expected a parquet file",
}
SHUFFLE_BUFFER = 10_000
SOLID = re.compile(r"\S")


def file_rows(path: Path, names: str) -> list[dict[str, Any]]:
    """Read the rows of a local file, compressed or not; plain text is one row.

    Raises ConfigError if it cannot be read; `names` are the other accepted values.
    """
    check_file(path, names)
    kind = READERS[_ending(path)]
    try:
        return _json_rows(path) if kind == "json" else _rows_of_datasets(path, kind)
    except Exception as error:
        cause = error.__cause__ or error
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        raise ConfigError(
            f"data {str(path)!r} cannot be read: {lines[-1]}; {CURES[kind]}"
        ) from error


def _rows_of_datasets(path: Path, kind: str) -> list[dict[str, Any]]:
    from datasets import load_dataset

    how = {"sample_by": "document"} if kind == "text" else {}
    return list(load_dataset(kind, data_files=str(path), split="train", streaming=True, **how))


def _json_rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines or a list of objects. Raises ValueError for anything else.

    The library `datasets` is not used, as it gives a column one type: 1 beside 1.5 would become
    1.0, and strings that look like dates would become dates.
    """
    packed = path.suffix == ".gz"
    text = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    rows = list(_json_values(text.decode("utf-8-sig")))
    if len(rows) == 1 and isinstance(rows[0], list):
        (rows,) = rows
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("it contains more than objects")
    return rows


def _json_values(text: str) -> Iterator[Any]:
    decoder, end = json.JSONDecoder(), 0
    while start := SOLID.search(text, end):
        value, end = decoder.raw_decode(text, start.start())
        yield value


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


def _ending(path: Path) -> str:
    """Return the extension that decides how to read the file, without that of a compression."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


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


def guarded(rows: Iterable[dict[str, Any]], data: str) -> Iterator[dict[str, Any]]:
    """Yield the rows. Raises ConfigError if the connection breaks before the last."""
    try:
        yield from rows
    except Exception as error:
        raise ConfigError(
            f"data {data!r} broke off ({type(error).__name__}); run the command again"
        ) from error


def text_column(rows: Iterable[dict[str, Any]], data: str) -> Iterator[str]:
    """Yield the column `text` of every row. Raises ConfigError if a row lacks it."""
    for number, row in enumerate(guarded(rows, data), start=1):
        text = row.get("text")
        if text is not None and not isinstance(text, str):
            raise ConfigError(
                f"data {data!r}: expected text in the column `text`, got {text!r} in row {number} "
                "of this draw; fix or drop the row"
            )
        if text is None:
            found = ", ".join(name for name, value in row.items() if value is not None)
            raise ConfigError(
                f"data {data!r}: expected text in a column `text`, found {found or 'nothing'} in "
                f"row {number} of this draw"
            )
        yield text
