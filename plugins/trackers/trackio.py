"""Trackio."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from prunekit.core import Tracker, hookimpl, option
from prunekit.plugins.trackers.importing import imported


@dataclass(frozen=True)
class Trackio(Tracker):
    """Trackio, on this machine or in a Space."""

    name: ClassVar[str] = "trackio"

    space: str | None = option(None, "Space on the Hugging Face hub, as OWNER/NAME")

    def begin(self, project: str, run: str, settings: Mapping[str, Any]) -> None:
        """Begin a run of the project."""
        where = {"space_id": self.space} if self.space else {}
        with redirect_stdout(sys.stderr):  # results alone are for standard output
            imported("trackio", "trackio").init(
                project=project, name=run, config=dict(settings), embed=False, **where
            )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add metrics."""
        imported("trackio", "trackio").log(dict(values), step=step)

    def summarise(self, values: Mapping[str, float | str]) -> None:
        """Add the results as one more point, and text with them."""
        imported("trackio", "trackio").log(dict(values))

    def keep(self, files: Sequence[Path]) -> None:
        """Log each file as an artefact."""
        for path in files:
            imported("trackio", "trackio").log_artifact(str(path), name=path.name)

    def end(self) -> str:
        """End the run, and say how to look at it."""
        with redirect_stdout(sys.stderr):
            imported("trackio", "trackio").finish()
        return "`trackio show` shows it" if self.space is None else f"Space {self.space}"


@hookimpl
def prunekit_trackers() -> list[type]:
    return [Trackio]
