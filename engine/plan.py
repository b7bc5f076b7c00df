"""A configuration with every default filled in and every plugin made; no weight is read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from prunekit.core.contracts import is_mix, names_of_parts
from prunekit.core.driver import check_problem, needs_of
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Backend, Objective, Searcher
from prunekit.core.options import values_of
from prunekit.core.problem import Problem, Subset, blocks_in, single_removals
from prunekit.core.registry import Entry, Registry
from prunekit.core.spec import Spec
from prunekit.engine.config import NO_REPAIR, SearchConfig, Settings, with_full_model_name
from prunekit.engine.limits import NO_LIMITS, is_limited, limit_in
from prunekit.engine.periods import PeriodSearch
from prunekit.engine.repairing import fitting_of, tokens_of
from prunekit.engine.signals import check_measurable
from prunekit.engine.sizes import bytes_in
from prunekit.engine.weights import Weights, weights_of
from prunekit.hf.blocks import block_count
from prunekit.hf.checkpoint import Checkpoint, context_length, find
from prunekit.hf.loading import choose_adapter
from prunekit.hf.patterns import Pattern, kinds_of_blocks, pattern_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig

OF_LOADING = tuple(
    field.name for field in dataclasses.fields(Spec) if field.compare and field.name != "repairing"
)
"""The settings that say how a model is loaded."""


@dataclass(frozen=True)
class Plan:
    """All that is needed to search."""

    config: SearchConfig
    spec: Spec
    checkpoint: Checkpoint
    searcher: Searcher
    objective: Any
    """an Objective, or one that is made of `parts`"""
    parts: tuple[tuple[Objective, float], ...]
    """the objectives that it is made of, with their weights; by itself it is its only part

    One that only bounds the search has the weight 0."""
    bounds: tuple[float | None, ...]
    """the upper bound of each part, on exp(loss - loss of the dense model)"""
    backend: Backend
    problem: Problem
    family: Entry
    model_config: PretrainedConfig
    pattern: Pattern | None = None
    """of the model's blocks, if they follow one"""
    to_save: bool = False
    """whether the result is to be written as a checkpoint"""
    remark: str = ""
    """what the user has to know before the search begins"""

    @property
    def context_length(self) -> int | None:
        """Tokens that the model takes at most; None where its configuration sets no limit."""
        return context_length(self.model_config)

    @property
    def is_mix(self) -> bool:
        """Return whether the objective is made of others, or of one other."""
        return self.parts[0][0] is not self.objective

    @property
    def measured_first(self) -> list[Subset]:
        """Return what is measured of a mix first, to find the scales of its parts."""
        return single_removals(self.problem.n_blocks) if self.is_mix else []

    def among(self, processes: int) -> Plan:
        """Return the plan for one of several processes at work at once."""
        return dataclasses.replace(self, spec=dataclasses.replace(self.spec, processes=processes))

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        s = self.config.settings
        words = f"{s.searcher}-{s.objective}-k{self.problem.budget}".replace(":", "-")
        return f"{words}-{self.config.digest()}"


def resolve(
    config: SearchConfig, registry: Registry, model_config: PretrainedConfig | None = None
) -> Plan:
    """Find the model and make the plugins. Raises ConfigError or CheckpointError.

    `model_config` is the model's configuration, where it was read before.
    """
    settings = with_full_model_name(config.settings)
    spec = spec_of(settings)
    checkpoint = find(spec, registry)
    model_config = model_config or checkpoint.config()
    pattern = pattern_of(model_config)
    period = _period(pattern, model_config) if settings.keep_pattern else 1
    problem = _problem(
        settings,
        block_count(model_config),
        period,
        lambda: weights_of(checkpoint, model_config, spec),
    )
    searcher = config.plugins[settings.searcher]
    parts = _parts(config)
    if settings.repair != NO_REPAIR:
        repair, objectives = config.plugins[settings.repair], [part for part, _ in parts]
        tokens = tokens_of(settings.repair_tokens, model_config.get_text_config().hidden_size)
        repairing = fitting_of(repair, objectives, tokens)
        spec = dataclasses.replace(spec, repairing=repairing)
    options = {name: values_of(plugin) for name, plugin in config.plugins.items()}
    return Plan(
        config=SearchConfig(
            dataclasses.replace(settings, **NO_LIMITS, budget=str(problem.budget)),
            {name: values for name, values in options.items() if values},
            config.plugins,
        ),
        spec=spec,
        checkpoint=checkpoint,
        searcher=PeriodSearch(searcher, period) if period > 1 else searcher,
        objective=config.plugins[settings.objective],
        parts=parts,
        bounds=_bounds(config),
        backend=config.plugins[settings.backend],
        problem=problem,
        family=choose_adapter(model_config, settings.adapter, registry),
        model_config=model_config,
        pattern=pattern,
    )


def _period(pattern: Pattern | None, config: PretrainedConfig) -> int:
    """Return the period of the blocks. Raises ConfigError if they differ without a pattern."""
    if pattern is None and (differing := kinds_of_blocks(config)):
        raise ConfigError(
            f"keep_pattern: the blocks of this model differ ({', '.join(differing)}), but their "
            "kinds do not repeat; leave it out",
            ("keep_pattern",),
        )
    return pattern.period if pattern else 1


def check_searcher(plan: Plan) -> None:
    """Raise ConfigError if the searcher is bound to fail; nothing is loaded.

    It may refuse the problem, or need signals that the objective cannot give.
    """
    check_problem(plan.searcher, plan.problem)
    parts = [part for part, _ in plan.parts]
    check_measurable(needs_of(plan.searcher), plan.objective, parts)


def spec_of(settings: Settings) -> Spec:
    """Return what a worker needs to load the model."""
    settings = with_full_model_name(settings)
    values = dataclasses.asdict(settings)
    if settings.state_memory is not None:
        values["state_memory"] = bytes_in(settings.state_memory, "state_memory")
    names = {field.name for field in dataclasses.fields(Spec)}
    return Spec(**{name: value for name, value in values.items() if name in names})


def _parts(config: SearchConfig) -> tuple[tuple[Objective, float], ...]:
    objective = config.plugins[config.settings.objective]
    if not is_mix(objective):
        return ((objective, 1.0),)
    weights = objective.parts_by_name()
    names = names_of_parts(objective)
    return tuple((config.plugins[name], weights.get(name, 0.0)) for name in names)


def _bounds(config: SearchConfig) -> tuple[float | None, ...]:
    objective = config.plugins[config.settings.objective]
    if not is_mix(objective):
        return (None,)
    ratios = objective.bounds_by_name()
    return tuple(map(ratios.get, names_of_parts(objective)))


def _problem(
    settings: Settings, n_blocks: int, period: int, weights: Callable[[], Weights]
) -> Problem:
    """Return the problem of the searcher; by default a quarter is removed, in whole periods."""
    first, last = settings.protect_first, settings.protect_last
    ends = frozenset(i for i in range(n_blocks) if i < first or i >= n_blocks - last)
    protected = ends | _protected(settings.protect, n_blocks)
    values = dataclasses.asdict(settings)
    if is_limited(values) and len(protected) < n_blocks:
        free = [i for i in range(n_blocks) if i not in protected]
        budget = limit_in(values, weights(), free).budget(n_blocks, period)
    else:
        budget = _budget(settings, n_blocks, period)
    return Problem(n_blocks, budget, protected, settings.seed)


def _budget(settings: Settings, n_blocks: int, period: int) -> int:
    """Return the number of blocks to remove; a share is rounded down, to whole periods."""
    given = settings.budget or "25%"
    if not given.endswith("%"):
        return int(given)
    share = math.floor(n_blocks * Fraction(given.removesuffix("%")) / 100)
    return max(period, share // period * period)


def _protected(text: str | None, n_blocks: int) -> Subset:
    """Return the blocks protected by number. Raises ConfigError if the model lacks one."""
    try:
        blocks = frozenset(blocks_in(text or "none"))
    except ValueError:
        raise ConfigError(
            f"protect {text!r}: expected block numbers, counted from 0, as 2,5", ("protect",)
        ) from None
    if not blocks <= set(range(n_blocks)):
        raise ConfigError(
            f"protect {text}: this model has blocks 0 to {n_blocks - 1}", ("protect",)
        )
    return blocks
