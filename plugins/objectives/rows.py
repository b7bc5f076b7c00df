"""Draws of calibration rows, and those that come with prunekit."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from prunekit.core import ConfigError
from prunekit.hf import check_file, file_rows

DEMO_DATA = Path(__file__).parent / "demo-data"


def check_data(data: str, names: str, objective: str) -> None:
    """ConfigError where `data` is none of the names and no file either; nothing is read."""
    if data not in names.split(", "):
        try:
            check_file(Path(data).expanduser(), names)
        except ConfigError as error:
            raise ConfigError(str(error), (objective, "data")) from error


def instead_of_hub(objective: str) -> str:
    """What to do without a network."""
    return f"name a local file with --{objective}.data"


@cache
def demo_rows(name: str) -> list[dict[str, Any]]:
    """The rows of an embedded file."""
    return file_rows(DEMO_DATA / f"{name}.jsonl", "demo")


def shuffled(rows: Iterable[Any], seed: int) -> list[Any]:
    """The rows in a random order of their own for every seed."""
    listed = list(rows)
    return random.Random(seed).sample(listed, len(listed))


def disjoint_draws(rows: list[Any], size: int) -> int:
    """How many draws of that size share no row; they are the first ones."""
    return len(rows) // size


def draw(rows: list[Any], seed: int, size: int) -> list[Any]:
    """`size` rows; the seeds that fit into the rows give disjoint draws, further ones mix anew."""
    draws = max(1, disjoint_draws(rows, size))
    start = seed % draws * size
    return shuffled(rows, seed // draws)[start : start + size]
