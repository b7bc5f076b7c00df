"""What a study will cost, before it is paid."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prunekit.core.errors import CheckpointError, PrunekitError
from prunekit.workflows.estimate import first_batch
from prunekit.workflows.plan import Plan
from prunekit.workflows.speed import Speed, measure_speed
from prunekit.workflows.study.loaded import LoadedModel
from prunekit.workflows.study.memory import bytes_of, memory_of
from prunekit.workflows.study.planning import Group
from prunekit.workflows.study.rehearsal import GroupCost, Rehearsals, sum_of
from prunekit.workflows.study.run import Study

T = TypeVar("T")


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
    unknown_because: tuple[str, ...] = ()
    """why something is None"""


@dataclass(frozen=True)
class StudyEstimate:
    """A study before it is run, from an empty journal."""

    name: str
    cells: tuple[str, ...]
    """the names of the searches"""
    models: tuple[ModelEstimate, ...]

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def estimate_study(study: Study) -> StudyEstimate:
    """Rehearse all groups, and time one batch of every objective where the weights are at hand."""
    rehearsals, loaded = Rehearsals(), LoadedModel()
    models = dict.fromkeys(group.model for group in study.chosen)
    estimates = [
        _estimate_model([g for g in study.chosen if g.model == model], rehearsals, loaded)
        for model in models
    ]
    cells = tuple(cell.id for group in study.chosen for cell in group.cells)
    return StudyEstimate(study.config.name, cells, tuple(estimates))


def _estimate_model(
    groups: Sequence[Group], rehearsals: Rehearsals, loaded: LoadedModel
) -> ModelEstimate:
    searches = sum(len(group.cells) for group in groups)
    plan, source = groups[0].plan, groups[0].source
    costs = [cost for group in groups if (cost := rehearsals.cost(group))]
    if plan is None or source is None:
        return ModelEstimate(groups[0].model, searches, unknown_because=(groups[0].reason,))
    memory, no_memory = _tried(lambda: memory_of(source.config(), plan.spec, _most_removed(groups)))
    timed, no_time = _tried(lambda: _timed(groups, costs, loaded))
    return ModelEstimate(
        model=groups[0].model,
        searches=searches,
        n_blocks=plan.problem.n_blocks,
        cost=sum_of(costs),
        weights_bytes=memory.weights if memory else None,
        states_bytes=memory.states if memory else None,
        calibration_bytes=timed.calibration_bytes if timed else None,
        seconds=timed.seconds if timed else None,
        unknown_because=tuple(why for why in (no_memory, no_time) if why),
    )


def _tried(work: Callable[[], T]) -> tuple[T | None, str]:
    """What the work gives, or why it cannot be done."""
    try:
        return work(), ""
    except PrunekitError as error:
        return None, str(error)


def _most_removed(groups: Sequence[Group]) -> int:
    return max(cell.budget for group in groups for cell in group.cells)


@dataclass(frozen=True)
class _Timed:
    seconds: float
    calibration_bytes: int


def _timed(groups: Sequence[Group], costs: Sequence[GroupCost], loaded: LoadedModel) -> _Timed:
    """From one draw of each objective; the other draws are as large."""
    of_objective: dict[str, tuple[Speed, int]] = {}
    seconds = 0.0
    for group, cost in zip(groups, costs, strict=True):
        if group.objective not in of_objective:
            assert group.plan is not None  # a cost was told for it
            of_objective[group.objective] = _time_objective(group.plan, loaded)
        speed, _ = of_objective[group.objective]
        seconds += speed.seconds(cost.block_runs, cost.measured)
    return _Timed(seconds, max(size for _, size in of_objective.values()))


def _time_objective(plan: Plan, loaded: LoadedModel) -> tuple[Speed, int]:
    if not plan.checkpoint.is_folder:
        raise CheckpointError("the time, since the weights would have to be fetched")
    speed, size = Speed(0.0, 0.0), 0
    loaded.make_room_for(plan.spec)
    for objective, _ in plan.parts:
        with first_batch(plan, objective) as (meter, batches):
            loaded.keep(plan.spec, getattr(meter, "adapter", None))
            speed += measure_speed(meter, batches=1, of=len(batches))
            size += bytes_of(batches)
    return speed, size
