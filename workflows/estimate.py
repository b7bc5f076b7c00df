"""What a search will cost, before it is paid."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass

from prunekit.core.batching import batches_of
from prunekit.core.errors import PrunekitError
from prunekit.core.interfaces import Meter, Objective
from prunekit.core.loading import resolve_device
from prunekit.core.problem import DENSE, Subset
from prunekit.core.rehearsal import Cost, rehearse
from prunekit.workflows.opening import calibration_samples
from prunekit.workflows.plan import Plan


@dataclass(frozen=True)
class Estimate:
    """Counts from a rehearsal; seconds where one batch could be timed, else why it could not."""

    cost: Cost
    seconds: float | None
    no_seconds_because: str = ""

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def estimate(plan: Plan) -> Estimate:
    """Rehearse the search, and time two variants on one batch where the weights are at hand."""
    resolve_device(plan.spec.device)
    cost = rehearse(plan.searcher, plan.problem)
    if not plan.checkpoint.is_folder:
        return Estimate(cost, None, "the weights would have to be fetched")
    try:
        return Estimate(cost, _seconds(plan, cost))
    except PrunekitError as error:
        return Estimate(cost, None, str(error))


def _seconds(plan: Plan, cost: Cost) -> float:
    return sum(_seconds_of_part(plan, objective, cost) for objective, _ in plan.parts)


def _seconds_of_part(plan: Plan, objective: Objective, cost: Cost) -> float:
    batches = batches_of(calibration_samples(plan, objective), plan.spec.tokens_per_forward)
    meter = plan.backend.open(plan.spec, objective, batches[:1])
    try:
        n = plan.problem.n_blocks
        _time(meter, DENSE)  # the first forward is slower than all that follow
        dense, nearly_empty = _time(meter, DENSE), _time(meter, frozenset(range(1, n)))
    finally:
        meter.close()
    a_block = (dense - nearly_empty) / max(1, n - 1)
    a_subset = max(0.0, dense - n * a_block)
    return len(batches) * (cost.block_runs * a_block + cost.measured * a_subset)


def _time(meter: Meter, subset: Subset) -> float:
    start = time.perf_counter()
    for _ in meter.measure([[subset]]):
        pass
    return time.perf_counter() - start
