"""What a repair adds to the cost of a search."""

from __future__ import annotations

from dataclasses import dataclass

from prunekit.engine.config import NO_REPAIR
from prunekit.engine.plan import Plan
from prunekit.engine.repairing import tokens_of
from prunekit.engine.weights import dtype_of


@dataclass(frozen=True)
class RepairCost:
    """The dense pass that patches are fitted on, before any cut."""

    name: str
    tokens: int
    """at most; fewer if the data has fewer"""
    bytes: int
    """of the streams that are kept as long as the search runs"""
    seconds: float | None
    """of the pass; None if nothing was timed"""


def repair_cost(plan: Plan, block_seconds_per_token: float | None) -> RepairCost | None:
    """Return the cost of the plan's repair; None if it has none."""
    settings = plan.config.settings
    if settings.repair == NO_REPAIR:
        return None
    width = plan.model_config.get_text_config().hidden_size
    tokens, n = tokens_of(settings.repair_tokens, width), plan.problem.n_blocks
    itemsize = dtype_of(plan.checkpoint, plan.model_config, plan.spec).itemsize
    took = block_seconds_per_token and n * tokens * block_seconds_per_token
    return RepairCost(settings.repair, tokens, (2 * n + 1) * tokens * width * itemsize, took)
