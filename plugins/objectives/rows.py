"""Rows of calibration data: embedded, in a local file, or on the hub."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core import ConfigError

if TYPE_CHECKING:
    from datasets import IterableDataset

DEMO_DATA = Path(__file__).parent / "demo-data"
READERS = {".txt": "text", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}


def demo_rows(name: str) -> list[dict[str, Any]]:
    """The rows of an embedded file."""
    return file_rows(DEMO_DATA / f"{name}.jsonl")


def file_rows(path: Path, names: str = "demo") -> list[dict[str, Any]]:
    """The rows of a local file, also of a compressed one; a .txt is one row.

    ConfigError where it cannot be read; `names` are the other words that were allowed.
    """
    from datasets import load_dataset

    kind = kind_of(path)
    if kind not in READERS:
        raise ConfigError(
            f"data {str(path)!r}: expected {names} or a file that ends in {', '.join(READERS)}"
        )
    if not path.is_file():
        raise ConfigError(f"data {str(path)!r}: no such file")
    how = {"sample_by": "document"} if kind == ".txt" else {}
    try:
        rows = load_dataset(
            READERS[kind], data_files=str(path), split="train", streaming=True, **how
        )
        return list(rows)
    except Exception as error:
        lines = str(error.__cause__ or error).strip().splitlines() or [""]
        raise ConfigError(f"data {str(path)!r} cannot be read: {lines[-1]}") from error


def kind_of(path: Path) -> str:
    """The ending that says how to read a file, also of a compressed one.

    >>> kind_of(Path("a.jsonl.gz"))
    '.jsonl'
    """
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def hub_rows(name: str, subset: str | None = None, split: str = "train") -> IterableDataset:
    """The rows of a data set on the hub, streamed; ConfigError where it cannot be had."""
    from datasets import load_dataset

    try:
        return load_dataset(name, subset, split=split, streaming=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the data set {name} cannot be fetched ({type(error).__name__}); without a network "
            "name a local file in the option `data`"
        ) from error


def guarded(rows: Iterable[dict[str, Any]], data: str) -> Iterator[dict[str, Any]]:
    """The rows; ConfigError where the connection breaks before the last."""
    try:
        yield from rows
    except Exception as error:
        raise ConfigError(
            f"data {data!r} broke off ({type(error).__name__}); run the command again"
        ) from error


def shuffled(rows: Iterable[Any], seed: int) -> list[Any]:
    """The rows in a random order of their own for every seed."""
    listed = list(rows)
    return random.Random(seed).sample(listed, len(listed))


def draw(rows: list[Any], seed: int, size: int) -> list[Any]:
    """`size` rows; the seeds that fit into the rows give disjoint draws, further ones mix anew."""
    draws = max(1, len(rows) // size)
    start = seed % draws * size
    return shuffled(rows, seed // draws)[start : start + size]
