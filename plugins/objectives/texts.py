"""Where calibration text comes from: the embedded passages, the hub, or a local file."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunekit.core import ConfigError

if TYPE_CHECKING:
    from datasets import IterableDataset

DEMO_DATA = Path(__file__).parent / "demo-data"
READERS = {".txt": "text", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
SHUFFLE_BUFFER = 10_000


@dataclass(frozen=True)
class Texts:
    """A source of documents."""

    documents: Iterable[str]
    """in the order in which they are to be used"""
    long: bool
    """whether documents are long enough to cut a sample from each; else they are joined"""
    joint: str = "\n\n"
    """what stands between joined documents"""


def open_texts(data: str, seed: int, draw_size: int) -> Texts:
    """The documents that `data` names, in the order of draw `seed`.

    `demo` holds several disjoint draws of `draw_size` documents. ConfigError where `data` is
    neither `demo`, `c4` nor `wikitext2` nor a file that can be read.
    """
    if data == "demo":
        return Texts(draw(demo_rows("calibration-passages"), seed, draw_size, "text"), long=True)
    if data == "c4":
        rows = _hub("allenai/c4", "en").shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER)
        return Texts(_column(rows, data), long=True)
    if data == "wikitext2":
        return Texts(_column(_hub("Salesforce/wikitext", "wikitext-2-raw-v1"), data), long=False)
    rows = file_rows(Path(data).expanduser())
    return Texts(_column(_shuffled(rows, seed), data), long=Path(data).suffix != ".txt")


def demo_rows(name: str) -> list[dict[str, Any]]:
    """The rows of an embedded file."""
    return list(file_rows(DEMO_DATA / f"{name}.jsonl"))


def draw(rows: list[dict[str, Any]], seed: int, size: int, column: str) -> list[Any]:
    """`size` rows; the seeds that fit into the rows give disjoint draws, further ones mix anew."""
    draws = max(1, len(rows) // size)
    order = random.Random(seed // draws).sample(rows, len(rows))
    start = seed % draws * size
    return [row[column] for row in order[start : start + size]]


def file_rows(path: Path) -> Iterable[dict[str, Any]]:
    """The rows of a local file; a .txt is one row. ConfigError where it cannot be read."""
    from datasets import load_dataset

    if path.suffix not in READERS:
        raise ConfigError(
            f"data {str(path)!r}: expected demo, c4, wikitext2 or a file that ends in "
            f"{', '.join(READERS)}"
        )
    if not path.is_file():
        raise ConfigError(f"data {str(path)!r}: no such file")
    how = {"sample_by": "document"} if path.suffix == ".txt" else {}
    try:
        return list(
            load_dataset(
                READERS[path.suffix], data_files=str(path), split="train", streaming=True, **how
            )
        )
    except Exception as error:
        lines = str(error.__cause__ or error).strip().splitlines() or [""]
        raise ConfigError(f"data {str(path)!r} cannot be read: {lines[-1]}") from error


def _shuffled(rows: Iterable[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    rows = list(rows)
    return random.Random(seed).sample(rows, len(rows))


def _hub(name: str, subset: str) -> IterableDataset:
    from datasets import load_dataset

    try:
        return load_dataset(name, subset, split="train", streaming=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the data set {name} cannot be fetched ({type(error).__name__}); without a network "
            "give a local .txt, .jsonl or .parquet file as data"
        ) from error


def _column(rows: Iterable[dict[str, Any]], data: str) -> Iterator[str]:
    for row in rows:
        if not isinstance(row.get("text"), str):
            raise ConfigError(f"data {data!r}: expected a column `text`, found {', '.join(row)}")
        yield row["text"]
