"""Estimate what a search will cost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prunekit.core.interfaces import Batch, Meter, Objective, Sample
from prunekit.engine.cost import Cost, Speed, measure_speed
from prunekit.engine.dry_run import dry_run_cost
from prunekit.engine.exportable import outlook
from prunekit.engine.finals_cost import FinalsCost, finals_cost
from prunekit.engine.opening import calibration_samples, open_meter, planned_batches
from prunekit.engine.plan import Plan, check_searcher
from prunekit.engine.progress import Progress
from prunekit.hf.loading import resolve_device


@dataclass(frozen=True)
class Estimate:
    """Counts of a dry run; seconds if one batch could be timed, else why it could not."""

    cost: Cost
    seconds: float | None
    no_seconds_because: str = ""
    checkpoint: str = ""
    """which removals cannot be written as a checkpoint, and why; empty if all can"""
    finalists: FinalsCost | None = None
    """what comes on top of all the other numbers; None without finalists"""

    def to_json(self) -> str:
        """Return JSON text."""
        row = dataclasses.asdict(self)
        row["cost"]["block_runs_alone"] = row["cost"].pop("block_runs_unshared")  # as in results
        return json.dumps(row, indent=2) + "\n"


def estimate(plan: Plan, progress: Progress | None = None) -> Estimate:
    """Run the search on made-up losses, and time two variants on one batch if weights are local.

    Raises PrunekitError if the search could not begin, as with data that cannot be read.
    """
    progress = progress or Progress()
    resolve_device(plan.spec.device)
    check_searcher(plan)
    progress.begin("counting subsets")
    cost = dry_run_cost(plan.searcher, plan.problem, also=plan.measured_first)
    whole = cost.under(len(plan.parts))
    remark = outlook(plan).remark
    if not plan.checkpoint.is_folder:
        finals = finals_cost(plan, cost, None)
        return Estimate(whole, None, "the weights would have to be fetched", remark, finals)
    progress.begin("timing one batch")
    speed, n_samples = _timed(plan)
    seconds = speed.seconds(cost.block_runs, cost.measured)
    finals = finals_cost(plan, cost, (speed, n_samples))
    return Estimate(whole, seconds, checkpoint=remark, finalists=finals)


def _timed(plan: Plan) -> tuple[Speed, int]:
    """Return the speed under all parts of the objective, and the least number of samples of one."""
    total, sizes = Speed(0.0, 0.0), []
    for objective, _ in plan.parts:
        samples = calibration_samples(plan, objective)
        sizes.append(len(samples))
        with first_batch(plan, objective, samples) as (meter, batches):
            total += measure_speed(meter, batches=1, of=len(batches))
    return total, min(sizes)


@contextmanager
def first_batch(
    plan: Plan, objective: Objective, samples: Sequence[Sample]
) -> Iterator[tuple[Meter, Sequence[Batch]]]:
    """Load the model to measure the first batch of an objective; with it come all batches."""
    batches = planned_batches(plan, samples)
    meter = open_meter(plan.backend, plan.spec, objective, batches[:1])
    try:
        yield meter, batches
    finally:
        meter.close()
