"""Which drafts are compared, and what they are compared on."""

from __future__ import annotations

from dataclasses import dataclass

from prunekit.core.options import option, options_of
from prunekit.engine.config import Settings
from prunekit.engine.limits import LIMITS
from prunekit.plugins.commands.evaluate.config import DEMO

OF_SEARCHES = tuple(
    option.name
    for option in options_of(Settings)
    if option.name not in ("budget", "finalists", "repair", "repair_tokens", *LIMITS)
)
"""The settings of a search that a comparison has."""


@dataclass(frozen=True)
class Drafting:
    """The budgets and lookaheads of a comparison, and the texts that it is made on."""

    budgets: str | None = option(
        None, "blocks to remove, as 2,4,8 or 1-12; by default 1, 2, 4 and so on to half"
    )
    lookahead: str = option("1-8", "tokens that the draft proposes at once, as 4 or 1-8")
    prompts: str = option(DEMO, "file of prompts that the dense model continues, or demo")
    new_tokens: int = option(64, "tokens that it writes after each", low=2)
    plain_prompts: bool = option(False, "prompts as they are, without a chat template")
    repeats: int = option(5, "generations of each model to time a step", low=1)
