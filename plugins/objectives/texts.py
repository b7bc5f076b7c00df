"""Calibration text: the embedded passages, the hub, or a local file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prunekit.hf import file_rows, hub_rows, is_plain_text, text_column
from prunekit.plugins.objectives.rows import (
    demo_rows,
    disjoint_draws,
    draw,
    instead_of_hub,
    shuffled,
)

DEMO_TEXTS = "calibration-passages"
NAMES = "demo, c4, wikitext2"


@dataclass(frozen=True)
class Texts:
    """A source of documents."""

    documents: Iterable[str]
    """in the order in which they are to be used"""
    long: bool
    """whether documents are long enough to cut a sample from each; else they are joined"""
    shuffled: bool = True
    """whether the order is that of the draw, or always the same"""
    joint: str = "\n\n"
    """what stands between joined documents"""


def disjoint_draws_of_texts(data: str, draw_size: int) -> int | None:
    """How many draws of `data` share no document; None where that is not known."""
    return disjoint_draws(demo_rows(DEMO_TEXTS), draw_size) if data == "demo" else None


def open_texts(data: str, seed: int, draw_size: int, objective: str) -> Texts:
    """The documents that an objective's `data` names; shuffled ones in the order of draw `seed`.

    `demo` holds several disjoint draws of `draw_size` documents. ConfigError where `data` is
    neither `demo`, `c4` nor `wikitext2` nor a file that can be read.
    """
    if data == "demo":
        rows = draw(demo_rows(DEMO_TEXTS), seed, draw_size)
        return Texts(text_column(rows, data), long=True)
    if data == "c4":
        stream = hub_rows("allenai/c4", "en", "train", instead_of_hub(objective), seed)
        return Texts(text_column(stream, data), long=True)
    if data == "wikitext2":
        instead = instead_of_hub(objective)
        lines = hub_rows("Salesforce/wikitext", "wikitext-2-raw-v1", "train", instead)
        return Texts(text_column(lines, data), long=False, shuffled=False)
    path = Path(data).expanduser()
    rows = file_rows(path, NAMES)
    if is_plain_text(path):
        return Texts(text_column(rows, data), long=False, shuffled=False)
    return Texts(text_column(shuffled(rows, seed), data), long=True)
