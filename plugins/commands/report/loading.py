"""Find a study and load it as data frames."""

from __future__ import annotations

from pathlib import Path

from prunekit.engine.runs import STUDIES, folder_of, unknown
from prunekit.plugins.commands.report.data import Study, read_study


def load_study(study: str | Path, *, workdir: str | Path = "prunekit-runs") -> Study:
    """Load the results of a study so far: `runs` is a data frame with a row for each search.

    `study` is its folder, or its name under `workdir`. `means` has a row for each searcher in each
    condition. Raises ConfigError if there is no such study, or if a file of it is damaged.
    """
    return read_study(study_folder(Path(study), Path(workdir)))


def study_folder(study: Path, workdir: Path) -> Path:
    """Return the folder of a study. Raises ConfigError if there is none of that name."""
    folder = folder_of(study, workdir, STUDIES)
    if not folder.is_dir():
        raise unknown("study", study, workdir / STUDIES)
    return folder
