"""Check before a search whether its result can be written as a checkpoint.

The configurations of some families cannot express which blocks remain, or only for some subsets. So
removals of the size of the budget are tried in advance, on models built without weights.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from prunekit.core.errors import CheckpointError, UnfitModel, blaming
from prunekit.core.problem import DENSE, Problem, Subset, blocks_in, words
from prunekit.engine.plan import Plan

MOST_TRIALS = 12
"""Maximum number of random removals to try; building a model takes 0.1 to 0.2 seconds."""

WhyNot: TypeAlias = Callable[[Subset], str]
"""Explains why no checkpoint can lack these blocks; empty if one can, as far as is known."""


@dataclass(frozen=True)
class Outlook:
    """The subsets that can be written as a checkpoint."""

    reason: str = ""
    """why some of the removals tried cannot be written; empty if all can"""
    keep: Subset = DENSE
    """blocks to keep so that any others can be removed; empty if unknown"""
    examples: tuple[Subset, ...] = ()
    """the removals tried that can be written"""

    @property
    def remark(self) -> str:
        """Return one line for the user; empty if there is nothing to report."""
        if not self.reason:
            return ""
        if self.keep:
            stay = f"block{'s'[: len(self.keep) - 1]} {words(self.keep)} must stay"
            return f"{stay}, or no checkpoint can be written: {self.reason}"
        can = " or ".join(words(subset) for subset in self.examples[:3])
        some = f"of the removals tried, only {can} can be written as a checkpoint"
        return f"{some if can else 'no checkpoint can be written'}: {self.reason}"


def fit_to_checkpoint(plan: Plan) -> Plan:
    """Protect blocks that a checkpoint cannot lack, and set the plan's `remark`.

    Raises CheckpointError if no such blocks are known.
    """
    found = outlook(plan)
    if not found.reason:
        return plan
    if not found.keep:
        raise CheckpointError(
            f"{plan.spec.model}, {plan.problem.budget} of {plan.problem.n_blocks} blocks: "
            f"{found.remark}. To search anyway, drop --save"
        )
    settings, problem = plan.config.settings, plan.problem
    protect = words(found.keep.union(blocks_in(settings.protect or "none")))
    return dataclasses.replace(
        plan,
        config=dataclasses.replace(
            plan.config, settings=dataclasses.replace(settings, protect=protect)
        ),
        problem=_protecting(problem, found.keep),
        remark=found.remark,
    )


def outlook(plan: Plan) -> Outlook:
    """Try some removals of the size of the budget, and single ones if any of those fails."""
    why_not = _why_not(plan)
    if why_not is None:
        return Outlook()
    tried = {subset: why_not(subset) for subset in _trials(plan.problem)}
    reason = next(filter(None, tried.values()), "")
    if not reason:
        return Outlook()
    keep = frozenset(i for i in plan.problem.removable if why_not(frozenset({i})))
    if keep and len(plan.problem.removable) - len(keep) >= plan.problem.budget:
        narrowed = _protecting(plan.problem, keep)
        if not any(map(why_not, _trials(narrowed))):
            return Outlook(why_not(frozenset({min(keep)})), keep)
    return Outlook(reason, examples=tuple(subset for subset, why in tried.items() if not why))


def _why_not(plan: Plan) -> WhyNot | None:
    """Return the check of the adapter; None if it or the model does not support one."""
    maker = plan.family.cls.removal_check
    if maker is None:
        return None
    with blaming("model", plan.family.cls):
        check = maker(plan.model_config, plan.spec.trust_remote_code)
    if check is None:
        return None

    def why_not(removed: Subset) -> str:
        try:
            with blaming("model", plan.family.cls):
                check(removed)
        except UnfitModel as error:
            return str(error)
        return ""

    return why_not


def _trials(problem: Problem) -> Iterable[Subset]:
    """Yield first, last, evenly spaced and random blocks, if possible each block once."""
    free, size = list(problem.removable), problem.budget
    shuffled = random.Random(0).sample(free, len(free))
    starts = [*range(0, len(free) - size, size), len(free) - size][:MOST_TRIALS]
    return dict.fromkeys(
        [
            frozenset(free[:size]),
            frozenset(free[-size:]),
            frozenset(free[(2 * i + 1) * len(free) // (2 * size)] for i in range(size)),
            *(frozenset(shuffled[start : start + size]) for start in starts),
        ]
    )


def _protecting(problem: Problem, blocks: Subset) -> Problem:
    return dataclasses.replace(problem, protected=problem.protected | blocks)
