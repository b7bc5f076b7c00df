"""Which drafts are compared: those that a search finds at several budgets, or one that is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import build, options_of
from prunekit.core.registry import load
from prunekit.core.spec import Spec
from prunekit.engine.budgets import plans_at
from prunekit.engine.choice import choose
from prunekit.engine.config import NO_REPAIR, SearchConfig, Settings, parse
from prunekit.engine.limits import LIMITS
from prunekit.engine.periods import PeriodSearch
from prunekit.engine.plan import Plan, check_searcher
from prunekit.engine.variant import Variant, check_blocks
from prunekit.hf.blocks import block_count
from prunekit.hf.checkpoint import find
from prunekit.plugins.commands.draft.bench import prompts_of
from prunekit.plugins.commands.draft.numbers import numbers_in
from prunekit.plugins.commands.draft.options import Drafting
from prunekit.plugins.commands.search.saving import prepare as prepare_search

OBJECTIVES = ("agree", "accept")
OF_MODELS = (
    *("model", "adapter", "revision", "trust_remote_code", "device", "dtype", "attention"),
    "tokens_per_forward",
)
"""Those that count where the blocks are named."""
ANEW = ("device", "dtype", "attention", "tokens_per_forward")
"""Those that may differ from the run's."""
DTYPE = "float32"
"""Of texts and times, unless one is asked for: in it, reading several tokens at once hardly ever
changes what is likeliest."""


@dataclass(frozen=True)
class DraftPlan:
    """All that is needed to compare drafts."""

    drafting: Drafting
    lookaheads: tuple[int, ...]
    spec: Spec
    """the dense model, as its checkpoint is written"""
    tried: Spec
    """the same, as it writes texts"""
    searches: Mapping[int, Plan]
    """by budget; empty if the blocks are named"""
    named: Variant | None
    workdir: Path

    @property
    def is_named(self) -> bool:
        """Whether the user named one draft, which is then written even if it does not pay."""
        one = self.drafting.budgets is not None and len(self.searches) == 1
        return self.named is not None or one

    @property
    def chosen_by(self) -> tuple[str, str]:
        """The searcher and the objective; empty if the blocks are named."""
        if not self.searches:
            return "", ""
        settings = next(iter(self.searches.values())).config.settings
        return settings.searcher, settings.objective


def prepare(
    model: str | None,
    run: str | Path | None,
    remove: Iterable[int] | None,
    budget: int | None,
    to: Path | None,
    workdir: Path,
    given: Mapping[str, Any],
) -> DraftPlan:
    """Make the plan; no weight is read. `given` has options of `Drafting` and words of a search.

    Raises ConfigError if they do not fit each other, the model or the prompts.
    """
    own = {option.name for option in options_of(Drafting)}
    given = {name: value for name, value in given.items() if value is not None}
    drafting = build(Drafting, {name: given.pop(name) for name in own & set(given)})
    lookaheads = tuple(numbers_in(drafting.lookahead, "lookahead"))
    searches, named = {}, None
    if run is not None or remove is not None:
        named = _named(model, run, remove, budget, workdir, given, drafting)
        spec = named.spec
    else:
        if budget is not None:
            raise ConfigError(
                f"budget {budget}: only a run has smaller choices; give --budgets {budget} to "
                "search at that budget",
                ("budget",),
            )
        searches = _searches({"model": model, **given}, drafting, to)
        spec = next(iter(searches.values())).spec
    tried = replace(spec, dtype=given.get("dtype", DTYPE))
    _check_prompts(drafting, tried)
    return DraftPlan(drafting, lookaheads, spec, tried, searches, named, workdir.absolute())


def _named(
    model: str | None,
    run: str | Path | None,
    remove: Iterable[int] | None,
    budget: int | None,
    workdir: Path,
    given: Mapping[str, Any],
    drafting: Drafting,
) -> Variant:
    others = [name for name in given if name not in OF_MODELS]
    if others := [*others, *["budgets"] * (drafting.budgets is not None)]:
        raise ConfigError(
            f"{', '.join(others)}: nothing is searched where blocks are named; leave it out, or "
            "drop --run and --remove"
        )
    variant = choose(model, remove, run, workdir, given, ANEW, budget)
    check_blocks(variant.removed, block_count(find(variant.spec, load()).config()))
    return variant


def _searches(given: Mapping[str, Any], drafting: Drafting, to: Path | None) -> dict[int, Plan]:
    """Return the plans of the searches. Raises ConfigError for another objective, and repairs."""
    registry = load()
    config = parse({"objective": OBJECTIVES[0], **given, "finalists": 0}, registry)
    _check_settings(config.settings, given)
    wanted = numbers_in(drafting.budgets, "budgets") if drafting.budgets is not None else None
    plan = prepare_search(_at_least(config, wanted), registry, to)
    plans = plans_at(plan, wanted or _usual_budgets(plan))
    for one in plans.values():
        check_searcher(one)
    return plans


def _check_settings(settings: Settings, given: Mapping[str, Any]) -> None:
    if settings.objective not in OBJECTIVES:
        raise ConfigError(
            f"objective {settings.objective}: a draft is chosen by what its dense model takes from "
            f"it; choose {' or '.join(OBJECTIVES)}",
            ("objective",),
        )
    if settings.repair != NO_REPAIR:
        raise ConfigError(
            "repair: drafts are compared as they are; search with --repair, then give its --run",
            ("repair",),
        )
    if unfit := [name for name in ("budget", *LIMITS) if given.get(name) is not None]:
        raise ConfigError(f"{unfit[0]}: give budgets, as --budgets 2,4,8", (unfit[0],))


def _at_least(config: SearchConfig, wanted: list[int] | None) -> SearchConfig:
    """Return a search at the largest budget."""
    budget = str(max(wanted)) if wanted else None
    return replace(config, settings=replace(config.settings, budget=budget))


def _usual_budgets(plan: Plan) -> list[int]:
    """Return 1, 2, 4 and so on to half of the blocks, in whole periods."""
    period = plan.searcher.period if isinstance(plan.searcher, PeriodSearch) else 1
    free = len(plan.problem.removable)
    most = max(1, min(plan.problem.n_blocks // 2, free) // period)
    return [period * k for k in sorted({*(2**i for i in range(10) if 2**i < most), most})]


def _check_prompts(drafting: Drafting, spec: Spec) -> None:
    checkpoint = find(spec, load())
    prompts_of(drafting, checkpoint.tokenizer(), checkpoint.config())
