"""Carry out a study: plan, search, evaluate, return the outcome."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prunekit.cli.bar import Reporting, reporting
from prunekit.core.errors import Interrupted
from prunekit.core.registry import load
from prunekit.engine.files import write_text
from prunekit.engine.known import forget_proofs
from prunekit.engine.progress import Progress
from prunekit.engine.quiet import quietly
from prunekit.engine.runs import STUDIES
from prunekit.engine.study_folder import CellFailure, CellResult, StudyFolder, slug
from prunekit.engine.summary import Summarised, Summary, plain
from prunekit.plugins.commands.study.config import StudyConfig, parse_study, read_study
from prunekit.plugins.commands.study.dry_run import expected_subsets
from prunekit.plugins.commands.study.eval_section import check_data, is_anything
from prunekit.plugins.commands.study.evaluating import EvaluationTask, evaluation_tasks
from prunekit.plugins.commands.study.jobs import sensible_jobs
from prunekit.plugins.commands.study.origin import agree, note_threads
from prunekit.plugins.commands.study.other_draws import DrawTask, draw_tasks
from prunekit.plugins.commands.study.planning import Group, plan_study, select
from prunekit.plugins.commands.study.pool import run_tasks
from prunekit.plugins.commands.study.searching import SearchTask, search_tasks
from prunekit.plugins.commands.study.tasks import Effort

DRY_RUN_SECONDS = 20.0


@dataclass(frozen=True, repr=False)
class StudyOutcome(Summarised):
    """The outcome of the cells that were chosen to run."""

    folder: str
    results: tuple[CellResult, ...]
    failures: tuple[CellFailure, ...]
    effort: Effort
    """what was done now; less than all if the study continues an earlier run"""

    def summary(self) -> Summary:
        """Return how much of the study there is, and where."""
        facts = {"searches": str(len(self.results)), "failed": str(len(self.failures))}
        return Summary(self.folder, facts=facts)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each cell that finished; `load_study` has what was evaluated too."""
        return [{**plain(of.cell), **plain(of, "cell", "schema")} for of in self.results]

    def to_json(self) -> str:
        """Return JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Study:
    """A study that was planned, and where it is kept."""

    config: StudyConfig
    planned: Sequence[Group]
    """all of it"""
    chosen: Sequence[Group]
    """what is to be run"""
    workdir: Path

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.workdir / STUDIES / slug(self.config.name)


@quietly()
def study(
    file: str | Path | Mapping[str, Any],
    *,
    only: str | None = None,
    jobs: int | None = 1,
    workdir: str | Path = "prunekit-runs",
    trust_remote_code: bool = False,
    prove: bool = False,
    progress: Reporting = False,
) -> StudyOutcome:
    """Run every search of a study, and evaluate what they chose.

    `file` is a YAML file or the same as a mapping. `only` chooses cells, as `objective=ppl`. With
    several `jobs`, processes work side by side; a script must then guard its main part with
    `if __name__ == "__main__"`. None for `jobs` are as many as the command line takes by itself.
    `trust_remote_code` lets code run that comes with the models; a file cannot say so. With
    `prove`, proofs on loading that `workdir` remembers do not count. Everything is kept under
    `workdir`, so that a call repeated after a stop goes on where it was; cells that failed are
    tried again.

    Raises PrunekitError if the study as a whole is wrong. A cell that fails does not stop the
    others: look at `failures`.
    """
    registry = load()
    settings = {"trust_remote_code": True} if trust_remote_code else {}
    if isinstance(file, Mapping):
        config = parse_study(file, registry, Path()).overruled(settings)
    else:
        config = read_study(Path(file), registry, settings)
    planned = plan(config, Path(workdir), only)
    if prove:
        forget_proofs(Path(workdir))
    with reporting(progress) as shown:
        return run_study(planned, jobs_of(planned, jobs), shown)


def plan(config: StudyConfig, workdir: Path, only: str | None = None) -> Study:
    """Plan a study without reading weights. Raises ConfigError if something does not fit."""
    groups = plan_study(config, load())
    return Study(config, groups, select(groups, only), workdir)


def jobs_of(study: Study, jobs: int | None = None) -> int:
    """Return how many processes work at once: `jobs`, or what suits the machine and the work."""
    folder = StudyFolder(study.folder)
    if not _is_unfinished(study, folder):
        return 1
    jobs = jobs or sensible_jobs(search_tasks(study.chosen, study.folder, study.workdir))
    if is_anything(study.config.evaluate):  # the variants of a model are shared among all
        return jobs
    return min(jobs, max(len(_search_tasks(study, folder)), len(_draw_tasks(study))))


def run_study(study: Study, jobs: int = 1, progress: Progress | None = None) -> StudyOutcome:
    """Carry out what is left of a study."""
    progress = progress or Progress()
    folder = StudyFolder(study.folder)
    if is_anything(study.config.evaluate) and _is_unfinished(study, folder):
        progress.rename("reading evaluation data")
        with study.config.located():
            check_data(study.config.evaluate)
    agree(study.folder, study.config)
    write_text(study.folder / "study.yaml", _yaml(study.config))
    note_threads(study.folder, jobs)
    folder.write_cells([cell for group in study.planned for cell in group.cells])
    try:
        effort = _search(study, folder, jobs, progress)
        effort += _measure_on_other_draws(study, jobs, progress)
        effort += _evaluate(study, jobs, progress)
    except KeyboardInterrupt:
        raise Interrupted(_farewell(study, folder)) from None
    outcomes = [folder.cell(cell) for group in study.chosen for cell in group.cells]
    return StudyOutcome(
        folder=str(study.folder),
        results=tuple(o for o in outcomes if isinstance(o, CellResult)),
        failures=tuple(o for o in outcomes if isinstance(o, CellFailure)),
        effort=effort,
    )


def _search(study: Study, folder: StudyFolder, jobs: int, progress: Progress) -> Effort:
    tasks = _search_tasks(study, folder, jobs)
    groups = [group for task in tasks for group in task.groups]
    progress.begin("searching", "subsets", partial(expected_subsets, groups, DRY_RUN_SECONDS))
    return run_tasks(tasks, jobs, progress)


def _search_tasks(study: Study, folder: StudyFolder, jobs: int = 1) -> list[SearchTask]:
    groups = [group.unfinished(folder).among(jobs) for group in study.chosen]
    unfinished = [group for group in groups if group.cells]
    return search_tasks(unfinished, study.folder.absolute(), study.workdir.absolute())


def _is_unfinished(study: Study, folder: StudyFolder) -> bool:
    return bool(_search_tasks(study, folder) or _is_unmeasured(study))


def _is_unmeasured(study: Study) -> bool:
    """Return whether something is left to do with the choices so far."""
    return bool(_draw_tasks(study) or _evaluation_tasks(study, jobs=1))


def _draw_tasks(study: Study) -> list[DrawTask]:
    if not study.config.other_draws:
        return []
    return draw_tasks(study.chosen, study.folder.absolute(), study.workdir.absolute())


def _measure_on_other_draws(study: Study, jobs: int, progress: Progress) -> Effort:
    tasks = _draw_tasks(study)
    if not tasks:
        return Effort()
    progress.begin("measuring", "subsets", lambda: sum(task.n_subsets for task in tasks))
    return run_tasks(tasks, jobs, progress)


def _evaluation_tasks(study: Study, jobs: int) -> list[EvaluationTask]:
    wanted = study.config.evaluate
    if not is_anything(wanted):
        return []
    folder, workdir = study.folder.absolute(), study.workdir.absolute()
    return evaluation_tasks(study.chosen, wanted, folder, workdir, jobs)


def _evaluate(study: Study, jobs: int, progress: Progress) -> Effort:
    tasks = _evaluation_tasks(study, jobs)
    if not tasks:
        return Effort()
    progress.begin("evaluating", "variants", lambda: sum(len(task.variants) for task in tasks))
    return run_tasks(tasks, jobs, progress)


def _farewell(study: Study, folder: StudyFolder) -> str:
    cells = sum(len(group.cells) for group in study.chosen)
    missing = sum(len(group.unfinished(folder).cells) for group in study.chosen)
    done = f"{cells - missing} of {cells} searches are done"
    if not missing and _is_unmeasured(study):
        done = f"all {cells} searches are done, but not all of their choices are measured"
    return (
        f"stopped. {done}, in {study.folder}, and all that was measured is saved in "
        f"{study.workdir}; run the same command again to go on"
    )


def _yaml(config: StudyConfig) -> str:
    import yaml

    return yaml.safe_dump(config.as_dict(), sort_keys=False)
