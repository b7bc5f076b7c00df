"""What the choices of all draws cost on one draw: `on-draws/ID.json` in the folder of a study."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunekit.core.problem import Subset
from prunekit.engine.conditions import condition
from prunekit.engine.files import write_text
from prunekit.engine.stored import (
    check_counts,
    check_stored,
    finite,
    read_stored,
    restored,
    subset_name,
    subset_named,
)
from prunekit.engine.study_folder import AGAIN, SCHEMA, slug

FOLDER = "on-draws"


@dataclass(frozen=True)
class DrawLosses:
    """Losses of one model under one objective and draw: of choices that other draws made."""

    model: str
    objective: str
    draw: int
    differences: Mapping[str, float | None] = field(default_factory=dict)
    """loss above that of the dense model on the same samples, by subset as `2-5-7`; None if not
    finite"""
    schema: int = SCHEMA
    calibration: str = ""

    @property
    def id(self) -> str:
        """A file name."""
        return f"{slug(f'{self.model}_{condition(self.objective, self.calibration)}')}_d{self.draw}"

    def missing(self, subsets: Collection[Subset]) -> list[Subset]:
        """Return those that were not measured, in an order in which neighbours share blocks."""
        return sorted((s for s in subsets if subset_name(s) not in self.differences), key=sorted)

    def write(self, study: Path) -> None:
        """Write it to the folder of a study."""
        text = json.dumps(finite(dataclasses.asdict(self)), indent=1, allow_nan=False)
        write_text(study / FOLDER / f"{self.id}.json", text + "\n")

    def kept(self, study: Path) -> DrawLosses:
        """Return what is known of the same model, objective and draw; this one if nothing is.

        Raises ConfigError if the file is damaged.
        """
        path = study / FOLDER / f"{self.id}.json"
        return _read(path) if path.is_file() else self


def draw_losses(study: Path) -> list[DrawLosses]:
    """Return all that a study measured on other draws. Raises ConfigError if a file is damaged."""
    return [_read(path) for path in sorted((study / FOLDER).glob("*.json"))]


def _read(path: Path) -> DrawLosses:
    def check(row: Mapping[str, Any]) -> None:
        check_stored(row, DrawLosses)
        check_counts(row, "draw")
        for name in row.get("differences", ()):
            subset_named(name)
        if (found := restored(DrawLosses, row).id) != path.stem:
            raise ValueError(f"it is of {found}")

    return restored(DrawLosses, read_stored(path, SCHEMA, (), AGAIN, check))
