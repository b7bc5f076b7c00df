"""Draws of calibration rows, and those that come with prunekit."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prunekit.core.rows import file_rows

DEMO_DATA = Path(__file__).parent / "demo-data"
NO_HUB = "name a local file in the option `data`"


def demo_rows(name: str) -> list[dict[str, Any]]:
    """The rows of an embedded file."""
    return file_rows(DEMO_DATA / f"{name}.jsonl", "demo")


def shuffled(rows: Iterable[Any], seed: int) -> list[Any]:
    """The rows in a random order of their own for every seed."""
    listed = list(rows)
    return random.Random(seed).sample(listed, len(listed))


def draw(rows: list[Any], seed: int, size: int) -> list[Any]:
    """`size` rows; the seeds that fit into the rows give disjoint draws, further ones mix anew."""
    draws = max(1, len(rows) // size)
    start = seed % draws * size
    return shuffled(rows, seed // draws)[start : start + size]
