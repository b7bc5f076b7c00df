"""Sources of running text: which documents, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prunekit.core import ConfigError
from prunekit.hf import (
    Document,
    documents_of_rows,
    hub_rows,
    is_plain_text,
    stream_rows,
    text_column,
)
from prunekit.plugins.objectives.rows import (
    beginning_with_draw,
    demo_rows,
    disjoint_draws,
    instead_of_hub,
    shuffled,
)

DEMO_TEXTS = "calibration-passages"
HUB = ("c4", "wikitext2")
NAMES = "demo, c4, wikitext2"


@dataclass(frozen=True)
class Texts:
    """A source of documents."""

    documents: Iterable[Document]
    """in order of use"""
    long: bool
    """each document is long enough to cut a sample from; else they are joined"""
    shuffled: bool = True
    """the order depends on the draw, else it is fixed"""
    joint: str = "\n\n"
    """the separator of joined documents"""
    single: bool = False
    """it is one text, of which nothing says where documents begin"""


def disjoint_draws_of_texts(data: str, draw_size: int) -> int | None:
    """Count the draws of `data` that share no document; None if that is unknown."""
    return disjoint_draws(demo_rows(DEMO_TEXTS), draw_size) if data == "demo" else None


def open_texts(
    data: str,
    seed: int,
    draw_size: int,
    objective: str,
    column: str = "text",
    other_draws: bool = False,
) -> Texts:
    """Open the documents that `data` names, shuffled ones in the order of draw `seed`.

    `demo` holds several disjoint draws of `draw_size` documents, and only with `other_draws` one is
    followed by the others. Raises ConfigError if `data` is
    neither `demo`, `c4` nor `wikitext2` nor a readable file with text in `column`.
    """
    path = Path(data).expanduser()
    if column != "text" and (data in NAMES.split(", ") or is_plain_text(path)):
        raise ConfigError(
            f"--{objective}.column {column}: data {data!r} has no columns to choose from; drop "
            f"--{objective}.column",
            (objective, "column"),
        )
    if data == "demo":
        rows = beginning_with_draw(demo_rows(DEMO_TEXTS), seed, draw_size)
        rows = rows if other_draws else rows[:draw_size]
        return Texts(text_column(rows, data), long=True)
    if data == "c4":
        stream = hub_rows("allenai/c4", "en", "train", instead_of_hub(objective), seed)
        return Texts(text_column(stream, data), long=True)
    if data == "wikitext2":
        instead = instead_of_hub(objective)
        lines = hub_rows("Salesforce/wikitext", "wikitext-2-raw-v1", "train", instead)
        return Texts(text_column(lines, data), long=False, shuffled=False)
    file = stream_rows(path, NAMES)
    if is_plain_text(path):
        return Texts(text_column(file, data), long=False, shuffled=False, single=True)
    cure = f"name another with --{objective}.column"
    return Texts(shuffled(documents_of_rows(file, data, column, cure), seed), long=True)
