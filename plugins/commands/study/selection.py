"""Choose cells of a study: `objective=ppl,searcher=cbo*`, or a part of their name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from prunekit.core.errors import ConfigError
from prunekit.core.options import suggest
from prunekit.plugins.commands.study.files import Cell

if TYPE_CHECKING:
    from prunekit.plugins.commands.study.planning import Group

COORDINATES = tuple(field.name for field in fields(Cell))


def select(groups: Sequence[Group], pattern: str | None) -> list[Group]:
    """Return the groups with the cells that match. Raises ConfigError if none does.

    Every part of the pattern must match, and each may have the wildcards `*` and `?`.
    """
    if pattern is None:
        return list(groups)
    parts = pattern.split(",")
    for part in parts:
        _check(part)
    chosen = [g.only(c for c in g.cells if all(_matches(c, p) for p in parts)) for g in groups]
    if not any(group.cells for group in chosen):
        listed = "; ".join(f"{key}: {', '.join(v)}" for key, v in coordinates(groups).items())
        raise ConfigError(f"--only {pattern!r} matches no cell of this study. It has {listed}")
    return [group for group in chosen if group.cells]


def coordinates(groups: Sequence[Group]) -> dict[str, list[str]]:
    """Return the values of each coordinate: `{"budget": ["3", "4"], ...}`."""
    cells = [asdict(cell) for group in groups for cell in group.cells]
    return {key: list(dict.fromkeys(str(cell[key]) for cell in cells)) for key in COORDINATES}


def _check(part: str) -> None:
    key, equals, value = part.partition("=")
    if equals and key not in COORDINATES:
        raise ConfigError(f"--only {part!r}: no such coordinate.{suggest(key, COORDINATES)}")
    if not part or (equals and not value):
        raise ConfigError(
            "--only: expected COORDINATE=VALUE or a part of a cell's name, joined by commas, as "
            "objective=ppl,budget=3"
        )


def _matches(cell: Cell, part: str) -> bool:
    key, equals, value = part.partition("=")
    if equals:
        return fnmatchcase(str(asdict(cell)[key]), value)
    return fnmatchcase(cell.id, f"*{part}*")
