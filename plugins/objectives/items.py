"""Where multiple-choice items come from: embedded, of Commonsense-170k, or a local file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prunekit.core import ConfigError
from prunekit.hf import file_rows, guarded, hub_rows
from prunekit.plugins.objectives.columns import item_of_columns
from prunekit.plugins.objectives.commonsense import is_commonsense, item_of_instruction
from prunekit.plugins.objectives.item import Item
from prunekit.plugins.objectives.rows import (
    demo_rows,
    disjoint_draws,
    draw,
    instead_of_hub,
    shuffled,
)

COMMONSENSE = "zwhe99/commonsense_170k"
DEMO_ITEMS = "calibration-items"
NAMES = "demo, commonsense_170k"


def disjoint_draws_of_items(data: str, samples: int) -> int | None:
    """How many draws of `data` share no item; None where that is not known."""
    return disjoint_draws(demo_rows(DEMO_ITEMS), samples) if data == "demo" else None


def load_items(
    data: str, seed: int, samples: int, objective: str, blank: str = "auto"
) -> list[Item]:
    """`samples` items for an objective, draw `seed`.

    `blank` says what a choice fills in the sentences of a file, see `blank_in`. Raises ConfigError
    where there are too few items or one is wrong.
    """
    if data == "demo":
        rows = draw(demo_rows(DEMO_ITEMS), seed, samples)
        items = _parsed(rows, blank, data)
    else:
        source = _of_hub(objective) if data == "commonsense_170k" else _of_file(data)
        rows = shuffled(guarded(source, data), seed)
        items = _first(_parsed(rows, blank, data), samples)
    found = list(items)
    if len(found) < samples:
        raise ConfigError(
            f"data {data!r} has {len(found)} usable items, asked for were {samples}: lower "
            f"--{objective}.samples"
        )
    return found


def _of_hub(objective: str) -> Iterable[dict[str, Any]]:
    rows: Iterable[dict[str, Any]] = hub_rows(COMMONSENSE, None, "train", instead_of_hub(objective))
    return rows


def _of_file(data: str) -> list[dict[str, Any]]:
    return file_rows(Path(data).expanduser(), NAMES)


def _first(items: Iterator[Item], count: int) -> Iterator[Item]:
    for _, item in zip(range(count), items, strict=False):
        yield item


def _parsed(rows: Iterable[Mapping[str, Any]], blank: str, data: str) -> Iterator[Item]:
    for row in rows:
        instructed = is_commonsense(row)
        item = item_of_instruction(row, data) if instructed else item_of_columns(row, blank, data)
        if item is not None:
            yield item
