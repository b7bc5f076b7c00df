"""From a study's configuration to its cells, in groups that share what is measured.

`select` chooses cells: `objective=ppl,searcher=cbo*`, or a part of their name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from prunekit.core.errors import CheckpointError, ConfigError, blaming
from prunekit.core.interfaces import Objective
from prunekit.core.options import suggest
from prunekit.core.problem import Problem
from prunekit.core.registry import Registry
from prunekit.engine.conditions import condition
from prunekit.engine.config import parse
from prunekit.engine.dry_run import uses_chance
from prunekit.engine.plan import Plan, resolve, spec_of
from prunekit.engine.study_folder import (
    LONGEST_NAME,
    Cell,
    CellFailure,
    CellResult,
    StudyFolder,
)
from prunekit.hf.checkpoint import Checkpoint, find
from prunekit.hf.loading import choose_adapter
from prunekit.plugins.commands.study.config import StudyConfig
from prunekit.plugins.commands.study.definitions import Definition, demo_advice

if TYPE_CHECKING:
    from transformers import PretrainedConfig

BLOCKS_OF_A_MODEL_UNSEEN = 32
COORDINATES = tuple(field.name for field in fields(Cell))


@dataclass(frozen=True)
class Group:
    """The searches of one model under one objective, calibration and draw."""

    model: str
    objective: str
    draw: int
    plans: Mapping[Cell, Plan | None]
    """one for each cell; None if the model's configuration is not available"""
    source: Checkpoint | None = None
    """the place of that configuration"""
    reason: str = ""
    """why it is not available"""
    calibration: str = ""

    @property
    def condition(self) -> str:
        """The objective, and the calibration if there is one."""
        return condition(self.objective, self.calibration)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """In order."""
        return tuple(self.plans)

    @property
    def plan(self) -> Plan | None:
        """Any plan of the group, for what they all share."""
        return next(iter(self.plans.values()), None)

    def only(self, cells: Iterable[Cell]) -> Group:
        """Return the group with some of its cells."""
        return replace(self, plans={cell: self.plans[cell] for cell in cells})

    def among(self, processes: int) -> Group:
        """Return the group with plans for one of several processes at work at once."""
        plans = {cell: plan and plan.among(processes) for cell, plan in self.plans.items()}
        return replace(self, plans=plans)

    def unfinished(self, folder: StudyFolder) -> Group:
        """Return the group with the cells that have no result yet, or other finalists."""
        return self.only(
            cell for cell, plan in self.plans.items() if not _is_finished(folder.cell(cell), plan)
        )


def _is_finished(found: CellResult | CellFailure | None, plan: Plan | None) -> bool:
    """Return whether nothing is left to do of a cell.

    Finalists that the study no longer asks for may stay.
    """
    if not isinstance(found, CellResult):
        return False
    finalists = plan.config.settings.finalists if plan else 0
    return finalists in (0, found.finalists)


def plan_study(config: StudyConfig, registry: Registry) -> list[Group]:
    """Plan every cell of the study. Raises ConfigError if the budgets do not fit a model."""
    with config.located():
        groups = [
            group for model in config.models for group in _Planner(config, model, registry).groups()
        ]
        _check_file_names(config, groups)
        _check_draws(config, groups)
    return groups


class _Planner:
    """Plans the cells of one model."""

    def __init__(self, config: StudyConfig, model: Definition, registry: Registry) -> None:
        self.config = config
        self.model = model
        self.registry = registry
        self.source: Checkpoint | None = None
        self.shape: PretrainedConfig | None = None
        self.reason = ""
        try:
            self.source, self.shape = self._find_shape()
        except CheckpointError as error:
            self.reason = self._checked_reason(error)

    def groups(self) -> list[Group]:
        places = [
            (searcher, budget, seed)
            for searcher in self.config.searchers
            for budget in self.config.budgets
            for seed in self._seeds(searcher, budget)
        ]
        return [
            self._group(objective, draw, places)
            for objective in self.config.conditions
            for draw in (self.config.draws if objective.drawn else self.config.draws[:1])
        ]

    def _find_shape(self) -> tuple[Checkpoint, PretrainedConfig]:
        """Return the model's configuration, which some family must handle, and its checkpoint."""
        words = parse({**self.config.shared, **self.model.given}, self.registry)
        spec = spec_of(words.settings)
        folder = self.model.config
        source = Checkpoint(str(folder)) if folder else find(spec, self.registry)
        shape = source.config()
        choose_adapter(shape, spec.adapter, self.registry)
        return source, shape

    def _checked_reason(self, error: CheckpointError) -> str:
        """Return why the model is not available now; raise ConfigError if it is a misspelt demo."""
        name = str(self.model.given["model"])
        advice = demo_advice(name, self.registry)
        if advice and "/" not in name:
            raise ConfigError(f"{error}{advice}", self.model.where) from error
        return f"{error}{advice}"

    def _seeds(self, searcher: Definition, budget: int) -> tuple[int, ...]:
        """Return all seeds if the searcher uses chance, else the first."""
        seeds = self.config.seeds
        plan = self._plan(self.config.objectives[0], 0, searcher, budget, seeds[0])
        if plan:
            chance = uses_chance(plan.searcher, plan.problem, seeds)
        else:
            n = BLOCKS_OF_A_MODEL_UNSEEN
            chance = uses_chance(
                searcher.made(self.registry), Problem(n, min(budget, n - 1)), seeds
            )
        return seeds if chance else seeds[:1]

    def _group(
        self, objective: Definition, draw: int, places: Sequence[tuple[Definition, int, int]]
    ) -> Group:
        model, label, calibration = self.model.label, objective.label, objective.calibration
        plans = {
            Cell(model, label, searcher.label, budget, seed, draw, calibration): self._plan(
                objective, draw, searcher, budget, seed
            )
            for searcher, budget, seed in places
        }
        return Group(model, label, draw, plans, self.source, self.reason, calibration)

    def _plan(
        self, objective: Definition, draw: int, searcher: Definition, budget: int, seed: int
    ) -> Plan | None:
        if self.shape is None:
            return None
        words = {
            **self.config.shared,
            **self.model.given,
            **objective.with_draw(draw),
            **searcher.given,
            "budget": budget,
            "seed": seed,
        }
        try:
            return resolve(parse(words, self.registry), self.registry, self.shape)
        except ConfigError as error:
            place = str(self.config.budgets.index(budget))
            raise ConfigError(f"{self.model.label}: {error}", ("budgets", place)) from error


def _check_draws(config: StudyConfig, groups: Sequence[Group]) -> None:
    """Raise ConfigError if draws share samples, which would understate the variance."""
    if len(config.draws) < 2:
        return
    for group in groups:
        for objective, _ in group.plan.parts if group.plan else ():
            n = _disjoint_draws(objective)
            if n and group.draw >= n:  # 0 means that the number of samples is wrong
                raise ConfigError(
                    f"draws: {group.draw}: the data of {objective.name!r} under "
                    f"{group.condition!r} have {_in_words(n)} that share no sample; choose from "
                    "these, or lower its samples",
                    ("draws", str(config.draws.index(group.draw))),
                )


def _in_words(n: int) -> str:
    """Describe the number of draws."""
    return f"{n} draws, 0 to {n - 1}," if n > 1 else "one draw, 0,"


def _disjoint_draws(objective: Objective) -> int | None:
    """Return the number of disjoint draws; None if the objective does not limit them."""
    with blaming("objective", objective):
        return objective.disjoint_draws()


def _check_file_names(config: StudyConfig, groups: Sequence[Group]) -> None:
    """Raise ConfigError if labels give the same file name, or one that is too long."""
    cells = [cell for group in groups for cell in group.cells]
    names: dict[str, Cell] = {}
    for cell in cells:
        if len(cell.id) > LONGEST_NAME:
            raise ConfigError(
                f"{_labels(config, cell)} would be kept under a file name of {len(cell.id)} "
                f"characters, {LONGEST_NAME} are possible; choose shorter labels",
                _longest(config, cell).where,
            )
        other = names.setdefault(cell.id.lower(), cell)
        if other is not cell:
            raise ConfigError(
                f"{_labels(config, other)} and {_labels(config, cell)} would be kept under "
                f"one file name, {cell.id}; choose labels that differ in letters or digits",
                _what_differs(config, cell, other).where,
            )


def _longest(config: StudyConfig, cell: Cell) -> Definition:
    return max(config.definitions(cell), key=lambda found: len(found.label))


def _what_differs(config: StudyConfig, cell: Cell, other: Cell) -> Definition:
    others = config.definitions(other)
    return next(found for found in config.definitions(cell) if found not in others)


def _labels(config: StudyConfig, cell: Cell) -> str:
    return ", ".join(found.label for found in config.definitions(cell))


def select(groups: Sequence[Group], pattern: str | None) -> list[Group]:
    """Return the groups with the cells that match. Raises ConfigError if none does.

    Every part of the pattern must match, and each may have the wildcards `*` and `?`.
    """
    if pattern is None:
        return list(groups)
    parts = pattern.split(",")
    for part in parts:
        _check_pattern(part)
    chosen = [g.only(c for c in g.cells if all(_matches(c, p) for p in parts)) for g in groups]
    if not any(group.cells for group in chosen):
        listed = "; ".join(f"{key}: {', '.join(v)}" for key, v in coordinates(groups).items())
        raise ConfigError(f"--only {pattern!r} matches no cell of this study. It has {listed}")
    return [group for group in chosen if group.cells]


def coordinates(groups: Sequence[Group]) -> dict[str, list[str]]:
    """Return the values of each coordinate that has any: `{"budget": ["3", "4"], ...}`."""
    cells = [asdict(cell) for group in groups for cell in group.cells]
    values = {key: dict.fromkeys(str(cell[key]) for cell in cells) for key in COORDINATES}
    return {key: named for key, found in values.items() if (named := list(filter(None, found)))}


def _check_pattern(part: str) -> None:
    key, equals, value = part.partition("=")
    if equals and key not in COORDINATES:
        raise ConfigError(f"--only {part!r}: no such coordinate.{suggest(key, COORDINATES)}")
    if not part or (equals and not value):
        raise ConfigError(
            "--only: expected COORDINATE=VALUE or a part of a cell's name, joined by commas, as "
            "objective=ppl,budget=3"
        )


def _matches(cell: Cell, part: str) -> bool:
    key, equals, value = part.partition("=")
    if equals:
        return fnmatchcase(str(asdict(cell)[key]), value)
    return fnmatchcase(cell.id, f"*{part}*")
