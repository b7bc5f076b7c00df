"""Estimate what a study will cost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prunekit.core.batch import Sample
from prunekit.core.errors import PrunekitError
from prunekit.engine.cost import Cost, Speed, measure_speed_quickly
from prunekit.engine.estimate import few_samples
from prunekit.engine.opening import calibration_samples
from prunekit.engine.plan import Plan
from prunekit.engine.progress import Progress
from prunekit.engine.study_folder import CellFailure
from prunekit.plugins.commands.study.dry_run import DryRuns
from prunekit.plugins.commands.study.eval_section import check_at_hand
from prunekit.plugins.commands.study.jobs import bytes_of, memory_of
from prunekit.plugins.commands.study.other_draws import most_on_other_draws
from prunekit.plugins.commands.study.planning import Group
from prunekit.plugins.commands.study.run import Study, jobs_of
from prunekit.plugins.commands.study.tasks import LoadedModel

T = TypeVar("T")
TO_FETCH = "the time, since the weights would have to be fetched"


@dataclass(frozen=True)
class ModelEstimate:
    """The searches of one model. Counts are None if its configuration is not available."""

    model: str
    searches: int
    n_blocks: int | None = None
    cost: Cost | None = None
    """of all groups together, without other draws"""
    other_draws: Cost | None = None
    """what choices measured on other draws add at most; None if they are not"""
    weights_bytes: int | None = None
    states_bytes: int | None = None
    calibration_bytes: int | None = None
    """None if the data or the tokenizer are not local"""
    seconds: float | None = None
    """of one process, if nothing was measured before"""
    unknown_because: tuple[str, ...] = ()
    """why something is None"""
    failures: tuple[CellFailure, ...] = ()
    """searches that cannot run, as far as this can be known without running them"""


@dataclass(frozen=True)
class StudyEstimate:
    """A study before it is run, from an empty journal."""

    name: str
    cells: tuple[str, ...]
    """the names of the searches"""
    models: tuple[ModelEstimate, ...]
    jobs: int
    """processes that work at once"""

    @property
    def failures(self) -> tuple[CellFailure, ...]:
        """Of all models."""
        return tuple(failure for model in self.models for failure in model.failures)

    def to_json(self) -> str:
        """Return JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def estimate_study(
    study: Study, jobs: int | None = None, progress: Progress | None = None
) -> StudyEstimate:
    """Run all groups on made-up losses, and time one batch of each objective if weights are local.

    Raises ConfigError if a file or a task to evaluate does not exist.
    """
    with study.config.located():
        check_at_hand(study.config.evaluate)
    progress = progress or Progress()
    dry_runs, loaded = DryRuns(), LoadedModel()
    models = dict.fromkeys(group.model for group in study.chosen)
    progress.begin("estimating", "models", lambda: len(models))
    estimates: list[ModelEstimate] = []
    for model in models:
        groups = [group for group in study.chosen if group.model == model]
        estimate = _estimate_model(groups, dry_runs, loaded)
        if study.config.other_draws and estimate.cost:
            estimate = dataclasses.replace(estimate, other_draws=most_on_other_draws(groups))
        estimates.append(estimate)
        progress.advance(len(estimates))
    cells = tuple(cell.id for group in study.chosen for cell in group.cells)
    return StudyEstimate(study.config.name, cells, tuple(estimates), jobs_of(study, jobs))


def _estimate_model(
    groups: Sequence[Group], dry_runs: DryRuns, loaded: LoadedModel
) -> ModelEstimate:
    searches = sum(len(group.cells) for group in groups)
    plan, source = groups[0].plan, groups[0].source
    if plan is None or source is None:
        failed = tuple(CellFailure(cell, g.reason) for g in groups for cell in g.cells)
        return ModelEstimate(groups[0].model, searches, failures=failed)
    memory, no_memory = _tried(lambda: memory_of(source, plan.spec, _most_removed(groups)))
    trial = _Trial(dry_runs, loaded)
    if plan.checkpoint.is_folder:
        for group in groups:
            trial.time(group)
    failures = [f for group in groups for f in trial.failures(group)]
    return ModelEstimate(
        model=groups[0].model,
        searches=searches,
        n_blocks=plan.problem.n_blocks,
        cost=sum(
            (dry_runs.cost(g).under(len(g.plan.parts)) for g in groups if g.plan), start=Cost()
        ),
        weights_bytes=memory.weights if memory else None,
        states_bytes=memory.states if memory else None,
        calibration_bytes=max(trial.sizes.values(), default=None),
        seconds=trial.seconds if trial.sizes else None,
        unknown_because=(
            *([no_memory] if no_memory else []),
            *([] if plan.checkpoint.is_folder else [TO_FETCH]),
        ),
        failures=tuple(failures),
    )


def _tried(work: Callable[[], T]) -> tuple[T | None, str]:
    """Return the result of the work, or the message of its error."""
    try:
        return work(), ""
    except PrunekitError as error:
        return None, str(error)


def _most_removed(groups: Sequence[Group]) -> int:
    return max(cell.budget for group in groups for cell in group.cells)


class _Trial:
    """Opens what the groups of one model will open, and times it."""

    def __init__(self, dry_runs: DryRuns, loaded: LoadedModel) -> None:
        self.dry_runs = dry_runs
        self.loaded = loaded
        self.speeds: dict[str, Speed] = {}
        self.sizes: dict[str, int] = {}
        """bytes of calibration data, by condition"""
        self.seconds = 0.0
        self.stopped: dict[tuple[str, int], str] = {}
        """conditions and draws that cannot be measured, and why"""

    def time(self, group: Group) -> None:
        """Read its data, and time the first draw of its objective; the others are as large."""
        assert group.plan is not None  # only models with a configuration are timed
        cost = self.dry_runs.cost(group)
        try:
            samples = [calibration_samples(group.plan, o) for o, _ in group.plan.parts]
            if group.condition not in self.speeds:
                self._measure(group.condition, group.plan, samples)
        except PrunekitError as error:
            self.stopped[group.condition, group.draw] = str(error)
            return
        speed = self.speeds[group.condition]
        self.seconds += speed.seconds(cost.block_runs, cost.measured)

    def failures(self, group: Group) -> list[CellFailure]:
        """Return the searches of a group that cannot run."""
        if why := self.stopped.get((group.condition, group.draw)):
            return [CellFailure(cell, why) for cell in group.cells]
        return self.dry_runs.failures(group)

    def _measure(self, name: str, plan: Plan, samples: Sequence[Sequence[Sample]]) -> None:
        speed, size = Speed(0.0, 0.0), 0
        self.loaded.make_room_for(plan.spec)
        for (objective, _), of_part in zip(plan.parts, samples, strict=True):
            with few_samples(plan, objective, of_part) as (meter, times, batches):
                self.loaded.keep(plan.spec, meter.adapter)
                speed += measure_speed_quickly(meter, of=times)
                size += bytes_of(batches)
        self.speeds[name], self.sizes[name] = speed, size
