"""Draws of calibration rows, and the embedded data."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from prunekit.core import ConfigError
from prunekit.hf import check_file, file_rows

DEMO_DATA = Path(__file__).parent / "demo-data"


def check_data(data: str, names: str, objective: str) -> None:
    """Raise ConfigError if `data` is neither one of the names nor a file, without reading it."""
    if data not in names.split(", "):
        try:
            check_file(Path(data).expanduser(), names)
        except ConfigError as error:
            raise ConfigError(str(error), (objective, "data")) from error


def instead_of_hub(objective: str) -> str:
    """Return the advice for a machine without network."""
    return f"name a local file with --{objective}.data"


@cache
def demo_rows(name: str) -> list[dict[str, Any]]:
    """Read the rows of an embedded file."""
    return file_rows(DEMO_DATA / f"{name}.jsonl", "demo")


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Read data without remarks: who reads it again makes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def shuffled(rows: Iterable[Any], seed: int) -> list[Any]:
    """Return the rows in a random order that depends on the seed alone."""
    listed = list(rows)
    return random.Random(seed).sample(listed, len(listed))


def disjoint_draws(rows: list[Any], size: int) -> int:
    """Count the draws of this size that share no row; they are the first ones."""
    return len(rows) // size


def beginning_with_draw(rows: list[Any], seed: int, size: int) -> list[Any]:
    """Return all rows, the `size` rows of a draw first and then those of the other draws.

    The first seeds give disjoint draws, later ones reshuffle.
    """
    draws = max(1, disjoint_draws(rows, size))
    start = seed % draws * size
    order = shuffled(rows, seed // draws)
    return order[start:] + order[:start]
