"""Estimate what a comparison of drafts will cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from prunekit.core.problem import DENSE
from prunekit.core.registry import load
from prunekit.core.spec import Known
from prunekit.engine.budgets import count_at
from prunekit.engine.estimate import Estimate, estimate_work
from prunekit.engine.plan import Plan
from prunekit.engine.progress import Progress
from prunekit.hf.checkpoint import find
from prunekit.hf.loading import load_adapter
from prunekit.plugins.commands.draft.bench import STEPS, prompts_of
from prunekit.plugins.commands.draft.plan import DraftPlan
from prunekit.plugins.commands.draft.texts import write
from prunekit.plugins.commands.evaluate.continuations import greedily

FEW = 8
"""Tokens that are written to time one."""
TIMES = 3
"""Texts are written alone, again by turns with the draft, and with it, which hardly is slower than
twice."""


@dataclass(frozen=True)
class DraftEstimate:
    """What a comparison takes."""

    search: Estimate | None
    """None if the blocks are named"""
    drafts: int
    prompts: int
    new_tokens: int
    decoded: int
    """tokens, at most"""
    seconds: float | None
    """to decode them, about; None if the weights would have to be fetched"""

    def to_json(self) -> str:
        """Return JSON text."""
        row = asdict(self) | {"search": self.search and json.loads(self.search.to_json())}
        return json.dumps(row, indent=2) + "\n"


def estimate_draft(plan: DraftPlan, progress: Progress) -> DraftEstimate:
    """Run the searches on made-up losses, and time a few tokens of the dense model."""
    checkpoint = find(plan.tried, load())
    prompts = len(prompts_of(plan.drafting, checkpoint.tokenizer(), checkpoint.config()))
    drafts = len(plan.searches) or 1
    timing = drafts * 2 * (plan.drafting.repeats + 1) * STEPS
    decoded = TIMES * prompts * plan.drafting.new_tokens + timing
    search = _search(plan.searches, progress) if plan.searches else None
    seconds = _seconds_a_token(plan) if checkpoint.is_folder else None
    return DraftEstimate(
        search=search,
        drafts=drafts,
        prompts=prompts,
        new_tokens=plan.drafting.new_tokens,
        decoded=decoded,
        seconds=None if seconds is None else seconds * decoded,
    )


def _search(plans: Mapping[int, Plan], progress: Progress) -> Estimate:
    def count(states: int) -> Any:
        return count_at(plans, states, "the comparison")

    return estimate_work(plans[max(plans)], count, lambda cost, timed: None, progress)


def _seconds_a_token(plan: DraftPlan) -> float:
    checkpoint = find(plan.tried, load()).opened()
    adapter = load_adapter(replace(plan.tried, known=Known(only_timed=True), repairing=None))
    (first, *_) = prompts_of(plan.drafting, checkpoint.tokenizer(), checkpoint.config())
    with adapter.bypassing(DENSE) as dense:
        settings = greedily(dense, checkpoint.tokenizer(), FEW) | {"eos_token_id": None}
        write(dense, settings, first.ids)  # the first is slower than all that follow
        return write(dense, settings, first.ids).seconds / FEW
