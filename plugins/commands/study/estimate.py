"""What a study will cost, before it is paid."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Sample
from prunekit.engine.cost import Speed, measure_speed
from prunekit.engine.estimate import first_batch
from prunekit.engine.opening import calibration_samples
from prunekit.engine.plan import Plan
from prunekit.plugins.commands.study.files import CellFailure
from prunekit.plugins.commands.study.jobs import bytes_of, memory_of
from prunekit.plugins.commands.study.planning import Group
from prunekit.plugins.commands.study.rehearsal import GroupCost, Rehearsals, sum_of
from prunekit.plugins.commands.study.run import Study, jobs_of
from prunekit.plugins.commands.study.tasks import LoadedModel
from prunekit.plugins.commands.study.wanted import check_at_hand

T = TypeVar("T")
TO_FETCH = "the time, since the weights would have to be fetched"


@dataclass(frozen=True)
class ModelEstimate:
    """The searches of one model. Counts are None where its configuration cannot be had."""

    model: str
    searches: int
    n_blocks: int | None = None
    cost: GroupCost | None = None
    """of all groups together"""
    weights_bytes: int | None = None
    states_bytes: int | None = None
    calibration_bytes: int | None = None
    """None where the data or the tokenizer are not at hand"""
    seconds: float | None = None
    """of one process, where nothing was measured before"""
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
        """JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def estimate_study(study: Study, jobs: int | None = None) -> StudyEstimate:
    """Rehearse all groups, and time one batch of every objective where the weights are at hand.

    ConfigError where a file or a task that is to be evaluated is none.
    """
    with study.config.located():
        check_at_hand(study.config.wanted)
    rehearsals, loaded = Rehearsals(), LoadedModel()
    models = dict.fromkeys(group.model for group in study.chosen)
    estimates = [
        _estimate_model([g for g in study.chosen if g.model == model], rehearsals, loaded)
        for model in models
    ]
    cells = tuple(cell.id for group in study.chosen for cell in group.cells)
    return StudyEstimate(study.config.name, cells, tuple(estimates), jobs_of(study, jobs))


def _estimate_model(
    groups: Sequence[Group], rehearsals: Rehearsals, loaded: LoadedModel
) -> ModelEstimate:
    searches = sum(len(group.cells) for group in groups)
    plan, source = groups[0].plan, groups[0].source
    if plan is None or source is None:
        failed = tuple(CellFailure(cell, g.reason) for g in groups for cell in g.cells)
        return ModelEstimate(groups[0].model, searches, failures=failed)
    memory, no_memory = _tried(lambda: memory_of(source, plan.spec, _most_removed(groups)))
    trial = _Trial(rehearsals, loaded)
    if plan.checkpoint.is_folder:
        for group in groups:
            trial.time(group)
    failures = [f for group in groups for f in trial.failures(group)]
    return ModelEstimate(
        model=groups[0].model,
        searches=searches,
        n_blocks=plan.problem.n_blocks,
        cost=sum_of(
            [
                cost.under(len(group.plan.parts))
                for group in groups
                if group.plan and (cost := rehearsals.cost(group))
            ]
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
    """What the work gives, or why it cannot be done."""
    try:
        return work(), ""
    except PrunekitError as error:
        return None, str(error)


def _most_removed(groups: Sequence[Group]) -> int:
    return max(cell.budget for group in groups for cell in group.cells)


class _Trial:
    """Opens what the groups of one model will open, and times it."""

    def __init__(self, rehearsals: Rehearsals, loaded: LoadedModel) -> None:
        self.rehearsals = rehearsals
        self.loaded = loaded
        self.speeds: dict[str, Speed] = {}
        self.sizes: dict[str, int] = {}
        """bytes of calibration data, by objective"""
        self.seconds = 0.0
        self.stopped: dict[tuple[str, int], str] = {}
        """objectives and draws that cannot be measured, and why"""

    def time(self, group: Group) -> None:
        """Read its data, and time the first draw of its objective; the others are as large."""
        cost = self.rehearsals.cost(group)
        assert group.plan is not None  # nobody times a model that cannot be seen
        assert cost is not None
        try:
            samples = [calibration_samples(group.plan, o) for o, _ in group.plan.parts]
            if group.objective not in self.speeds:
                self._measure(group.objective, group.plan, samples)
        except PrunekitError as error:
            self.stopped[group.objective, group.draw] = str(error)
            return
        speed = self.speeds[group.objective]
        self.seconds += speed.seconds(cost.block_runs, cost.measured)

    def failures(self, group: Group) -> list[CellFailure]:
        """The searches of a group that cannot run."""
        if why := self.stopped.get((group.objective, group.draw)):
            return [CellFailure(cell, why) for cell in group.cells]
        return self.rehearsals.failures(group)

    def _measure(self, name: str, plan: Plan, samples: Sequence[Sequence[Sample]]) -> None:
        speed, size = Speed(0.0, 0.0), 0
        self.loaded.make_room_for(plan.spec)
        for (objective, _), of_part in zip(plan.parts, samples, strict=True):
            with first_batch(plan, objective, of_part) as (meter, batches):
                self.loaded.keep(plan.spec, meter.adapter)
                speed += measure_speed(meter, batches=1, of=len(batches))
                size += bytes_of(batches)
        self.speeds[name], self.sizes[name] = speed, size
