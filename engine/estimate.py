"""Estimate what a search will cost."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from prunekit.core.batch import Batch, Sample
from prunekit.core.interfaces import Meter, Objective
from prunekit.core.spec import Known
from prunekit.engine.cost import Cost, Speed, measure_speed_quickly
from prunekit.engine.dry_run import dry_run_cost
from prunekit.engine.exportable import outlook
from prunekit.engine.finals_cost import FinalsCost, finals_cost
from prunekit.engine.opening import calibration_samples, open_meter, planned_batches
from prunekit.engine.plan import Plan, check_searcher
from prunekit.engine.progress import Progress
from prunekit.engine.repair_cost import RepairCost, repair_cost
from prunekit.engine.weights import Removal, weights_if_countable
from prunekit.hf.fitting import Fitting
from prunekit.hf.loading import resolve_device
from prunekit.hf.tokens import batches_of

FEW_TOKENS = 512
"""Enough to time a forward; a longer sample is not cut, as the time of attention would be."""


@dataclass(frozen=True)
class Estimate:
    """Counts of a dry run; seconds if one batch could be timed, else why it could not."""

    cost: Cost
    seconds: float | None
    """with the time of the searcher itself"""
    no_seconds_because: str = ""
    checkpoint: str = ""
    """which removals cannot be written as a checkpoint, and why; empty if all can"""
    typical: Mapping[str, float] = field(default_factory=dict)
    """seconds with calibration sets of usual sizes, by their names, the largest first"""
    finalists: FinalsCost | None = None
    """what comes on top of all the other numbers; None without finalists"""
    removal: Removal | None = None
    """the budget in other units; None if the parameters of the model cannot be counted"""
    repair: RepairCost | None = None
    """what a repair adds before the first cut; None without one"""

    def to_json(self) -> str:
        """Return JSON text."""
        row = dataclasses.asdict(self)
        row["cost"]["block_runs_alone"] = row["cost"].pop("block_runs_unshared")  # as in results
        return json.dumps(row, indent=2) + "\n"


def estimate(plan: Plan, progress: Progress | None = None) -> Estimate:
    """Run the search on made-up losses, and time two variants on one batch if weights are local.

    Raises PrunekitError if the search could not begin, as with data that cannot be read.
    """

    def count(states: int) -> Cost:
        also = plan.measured_first
        return dry_run_cost(plan.searcher, plan.problem, also=also, states=states)

    check_searcher(plan)
    found = estimate_work(plan, count, partial(finals_cost, plan), progress or Progress())
    return replace(found, checkpoint=outlook(plan).remark)


def estimate_work(
    plan: Plan,
    count: Callable[[int], Cost],
    finals: Callable[[Cost, tuple[Speed, int] | None], FinalsCost | None],
    progress: Progress,
) -> Estimate:
    """Time the model of a plan on a batch of its data, and count the work, and what follows it.

    `count` is given how many states are kept, `finals` the speed and the number of samples. Without
    local weights nothing is timed.
    """
    resolve_device(plan.spec.device)
    timed = None
    if plan.checkpoint.is_folder:
        progress.begin("timing one batch")
        timed = _timed(plan)
    progress.begin("counting subsets")
    start = time.perf_counter()
    cost = count(timed.states if timed else 0)
    own_time = time.perf_counter() - start
    found = Estimate(
        cost.under(len(plan.parts)),
        None,
        "" if timed else "the weights would have to be fetched",
        finalists=finals(cost, (timed.speed, timed.n_samples) if timed else None),
        removal=_removal(plan),
        repair=repair_cost(plan, timed.speed.block / timed.tokens if timed else None),
    )
    if timed is None:
        return found
    forwards = timed.speed.seconds(cost.block_runs_on, cost.measured)
    sizes = {} if plan.is_mix else plan.objective.typical_sizes()
    typical = {name: own_time + times * forwards for name, times in sizes.items() if times != 1}
    return replace(found, seconds=own_time + forwards, typical=typical)


def _removal(plan: Plan) -> Removal | None:
    weights = weights_if_countable(plan.checkpoint, plan.model_config, plan.spec)
    return weights.removal(plan.problem.removable, plan.problem.budget) if weights else None


@dataclass(frozen=True)
class _Timed:
    """What the first forwards show, under all parts of the objective."""

    speed: Speed
    n_samples: int
    """the least of a part"""
    states: int
    """how many are kept between requests of each batch; the least of a part"""
    tokens: int
    """in the samples, all parts together"""


def _timed(plan: Plan) -> _Timed:
    if isinstance(plan.spec.repairing, Fitting):  # or the search would be refused later
        plan.spec.repairing.samples(plan.checkpoint, plan.model_config)
    speed, sizes, states, tokens = Speed(0.0, 0.0), [], [], 0
    for objective, _ in plan.parts:
        samples = calibration_samples(plan, objective)
        sizes.append(len(samples))
        with few_samples(plan, objective, samples) as (meter, times, batches):
            tokens += sum(map(_tokens, batches))
            speed += measure_speed_quickly(meter, of=times)
            states.append(int(meter.states_kept / times))
    return _Timed(speed, min(sizes), min(states), tokens)


@contextmanager
def few_samples(
    plan: Plan, objective: Objective, samples: Sequence[Sample]
) -> Iterator[tuple[Meter, float, Sequence[Batch]]]:
    """Load the model to time it on the first few samples of an objective; nothing is proved.

    With it come the tokens of all samples over those of the few, and the batches of all.
    """
    batches = planned_batches(plan, samples)
    few = batches_of(samples, min(FEW_TOKENS, plan.spec.tokens_per_forward))[:1]
    spec = replace(plan.spec, known=Known(only_timed=True), repairing=None)
    meter = open_meter(plan.backend, spec, objective, few)
    try:
        yield meter, sum(map(_tokens, batches)) / _tokens(few[0]), batches
    finally:
        meter.close()


def _tokens(batch: Batch) -> int:
    return batch.input_ids.numel()
