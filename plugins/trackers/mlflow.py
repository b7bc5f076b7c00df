"""MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from prunekit.core import Tracker, hookimpl, option
from prunekit.plugins.trackers.importing import imported


@dataclass(frozen=True)
class MLflow(Tracker):
    """MLflow, in a local database or on a server."""

    name: ClassVar[str] = "mlflow"

    uri: str | None = option(None, "server, or sqlite:///FILE; by default as MLflow is set up")

    def begin(self, project: str, run: str, settings: Mapping[str, Any]) -> None:
        """Begin a run of the experiment `project`."""
        mlflow = imported("mlflow", "mlflow")
        if self.uri:
            mlflow.set_tracking_uri(self.uri)
        mlflow.set_experiment(project)
        mlflow.start_run(run_name=run)
        mlflow.log_params(settings)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add metrics."""
        imported("mlflow", "mlflow").log_metrics(dict(values), step=step)

    def summarise(self, values: Mapping[str, float | str]) -> None:
        """Add numbers as metrics, and text as tags."""
        mlflow = imported("mlflow", "mlflow")
        mlflow.log_metrics({name: x for name, x in values.items() if not isinstance(x, str)})
        mlflow.set_tags({name: text for name, text in values.items() if isinstance(text, str)})

    def keep(self, files: Sequence[Path]) -> None:
        """Log artefacts."""
        for path in files:
            imported("mlflow", "mlflow").log_artifact(str(path))

    def end(self) -> str:
        """End the run, and name it and its server."""
        mlflow = imported("mlflow", "mlflow")
        number = mlflow.active_run().info.run_id
        mlflow.end_run()
        return f"run {number} of {mlflow.get_tracking_uri()}"


@hookimpl
def prunekit_trackers() -> list[type]:
    return [MLflow]
