"""Calibration text: the embedded passages, the hub, or a local file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunekit.core import ConfigError
from prunekit.plugins.objectives.rows import demo_rows, draw, file_rows, hub_rows, shuffled

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
        rows = draw(demo_rows("calibration-passages"), seed, draw_size)
        return Texts(_column(rows, data), long=True)
    if data == "c4":
        stream = hub_rows("allenai/c4", "en").shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER)
        return Texts(_column(stream, data), long=True)
    if data == "wikitext2":
        lines = hub_rows("Salesforce/wikitext", "wikitext-2-raw-v1")
        return Texts(_column(lines, data), long=False)
    rows = file_rows(Path(data).expanduser(), "demo, c4, wikitext2")
    return Texts(_column(shuffled(rows, seed), data), long=Path(data).suffix != ".txt")


def _column(rows: Iterable[dict[str, Any]], data: str) -> Iterator[str]:
    for row in rows:
        if not isinstance(row.get("text"), str):
            raise ConfigError(f"data {data!r}: expected a column `text`, found {', '.join(row)}")
        yield row["text"]
