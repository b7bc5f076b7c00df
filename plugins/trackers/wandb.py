"""Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from prunekit.core import Tracker, hookimpl, option
from prunekit.plugins.trackers.importing import imported


@dataclass(frozen=True)
class WeightsAndBiases(Tracker):
    """Weights & Biases, online or in a local folder."""

    name: ClassVar[str] = "wandb"

    mode: Literal["online", "offline"] = option(
        "online", "offline keeps runs in the folder wandb, for `wandb sync`"
    )
    entity: str | None = option(None, "user or team; by default yours")

    def begin(self, project: str, run: str, settings: Mapping[str, Any]) -> None:
        """Begin a run of the project."""
        imported("wandb", "wandb").init(
            project=project, name=run, config=dict(settings), mode=self.mode, entity=self.entity
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add metrics."""
        imported("wandb", "wandb").log(dict(values), step=step)

    def summarise(self, values: Mapping[str, float | str]) -> None:
        """Set the summary."""
        imported("wandb", "wandb").run.summary.update(dict(values))

    def keep(self, files: Sequence[Path]) -> None:
        """Save files with the run."""
        for path in files:
            imported("wandb", "wandb").save(str(path), base_path=str(path.parent), policy="now")

    def end(self) -> str:
        """End the run, and return its address, or its folder."""
        wandb = imported("wandb", "wandb")
        where = wandb.run.url or str(Path(wandb.run.dir).parent)
        wandb.finish()
        return str(where)


@hookimpl
def prunekit_trackers() -> list[type]:
    return [WeightsAndBiases]
