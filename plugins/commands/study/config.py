"""The file of a study: models, objectives and searchers by label, budgets, seeds and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import convert, option, options_of, suggest, values_of
from prunekit.core.registry import Registry
from prunekit.engine.config import NOT_BY_A_FILE, TRUST, parse
from prunekit.engine.config_file import Lines, read_yaml
from prunekit.engine.study_folder import EVALUATE, LONGEST_NAME, Cell, slug
from prunekit.plugins.commands.evaluate.config import EvalConfig
from prunekit.plugins.commands.study.calibration import CALIBRATION, calibrations, conditions
from prunekit.plugins.commands.study.definitions import (
    Definition,
    Key,
    check_device,
    labelled,
    model_definition,
    objective_definition,
    searcher_definition,
)
from prunekit.plugins.commands.study.eval_section import parse_evaluation, words_of
from prunekit.plugins.commands.study.starting import PAPER, paper_searchers

FINALISTS = "finalists"
OTHER_DRAWS = "other_draws"
KINDS = ("models", "objectives", "searchers")
SHARED = (
    "protect_first",
    "protect_last",
    "protect",
    "keep_pattern",
    "backend",
    "device",
    "dtype",
    "tokens_per_forward",
    "state_memory",
    TRUST,
    FINALISTS,
)


@dataclass(frozen=True)
class Numbers:
    """The lists of numbers that span the grid, item by item."""

    budgets: int = option(1, "blocks to remove", low=1)
    seeds: int = option(0, "seeds of searches that use chance", low=0)
    draws: int = option(0, "calibration draws", low=0)


@dataclass(frozen=True)
class Choices:
    """What is measured of choices."""

    other_draws: bool = option(True, "measure each choice on the other calibration draws, too")


@dataclass(frozen=True)
class StudyFile:
    """A YAML file; errors about it name the line."""

    path: Path
    lines: Lines

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Put file and line before the message of a ConfigError."""
        try:
            yield
        except ConfigError as error:
            key = error.key
            while key and key not in self.lines:
                key = key[:-1]
            where = f"{self.path}:{self.lines[key]}" if key else str(self.path)
            raise ConfigError(f"{where}: {error}", error.key) from error


@dataclass(frozen=True)
class StudyConfig:
    """A whole study, checked."""

    name: str
    shared: Mapping[str, Any]
    """settings of all its searches, and the options of the backend"""
    models: tuple[Definition, ...]
    objectives: tuple[Definition, ...]
    calibrations: tuple[Definition, ...]
    conditions: tuple[Definition, ...]
    """the objectives, each once with the options of every calibration that it takes part in"""
    searchers: tuple[Definition, ...]
    budgets: tuple[int, ...]
    seeds: tuple[int, ...]
    draws: tuple[int, ...]
    evaluate: EvalConfig = EvalConfig()
    """what is evaluated"""
    other_draws: bool = True
    """whether each choice is measured on the other draws, too"""
    file: StudyFile | None = None
    """where it was read"""

    @property
    def by_kind(self) -> dict[str, tuple[Definition, ...]]:
        """Models, objectives, calibrations and searchers, by their keys in the file."""
        return {
            "models": self.models,
            "objectives": self.objectives,
            CALIBRATION: self.calibrations,
            "searchers": self.searchers,
        }

    @property
    def finalists(self) -> int:
        """How many of the best subsets of each search are measured on held-out samples."""
        return int(self.shared[FINALISTS])

    def definitions(self, cell: Cell) -> tuple[Definition, ...]:
        """Return the definitions of the labels of a cell."""
        labels = (cell.model, cell.objective, cell.calibration, cell.searcher)
        pairs = zip(self.by_kind.values(), labels, strict=True)
        return tuple(d for found, label in pairs for d in found if d.label == label)

    def located(self) -> AbstractContextManager[None]:
        """Return a context in which errors name the line of the study's file, if it has one."""
        return self.file.locating() if self.file else nullcontext()

    def overruled(self, settings: Mapping[str, Any]) -> StudyConfig:
        """Return the study with settings that override those of the file, for all models."""
        models = [
            replace(model, given={k: v for k, v in model.given.items() if k not in settings})
            for model in self.models
        ]
        return replace(self, shared={**self.shared, **settings}, models=tuple(models))

    def as_dict(self) -> dict[str, Any]:
        """Return the content of a study's file, with every option filled in."""
        kinds = {kind: found for kind, found in self.by_kind.items() if found}
        return {
            "name": self.name,
            **{k: {d.label: dict(d.resolved) for d in found} for k, found in kinds.items()},
            "budgets": list(self.budgets),
            "seeds": list(self.seeds),
            "draws": list(self.draws),
            **self.shared,
            OTHER_DRAWS: self.other_draws,
            EVALUATE: words_of(self.evaluate),
        }


def read_study(
    path: Path, registry: Registry, settings: Mapping[str, Any] | None = None
) -> StudyConfig:
    """Read and check a study's file, over which `settings` win.

    A ConfigError names the line. A file cannot trust a model's code.
    """
    data, lines = read_yaml(path, "searchers: [greedy]")
    file = StudyFile(path, lines)
    with file.locating():
        config = parse_study({"name": path.stem, **data}, registry, path.parent)
        if TRUST not in (settings or {}):
            _check_trust(config)
    return replace(config, file=file).overruled(settings or {})


def _check_trust(config: StudyConfig) -> None:
    trusting = [(*model.where, TRUST) for model in config.models if model.given.get(TRUST)]
    for key in [(TRUST,)] if config.shared[TRUST] else trusting:
        raise ConfigError(f"{TRUST}: {NOT_BY_A_FILE}", key)


def parse_study(given: Mapping[str, Any], registry: Registry, base: Path) -> StudyConfig:
    """Check every key of a study; a ConfigError has the key of the one that is wrong.

    Folders named by `config` are relative to `base`.
    """
    backend = str(given.get("backend", "local"))
    numbers = asdict(Numbers())
    known = ("name", *KINDS, CALIBRATION, *numbers, *SHARED, OTHER_DRAWS, EVALUATE, backend)
    for key in given:
        if key not in known:
            raise ConfigError(f"{key}: no such key.{suggest(key, known)}", (key,))
    if missing := [key for key in (*KINDS, "budgets") if key not in given]:
        raise ConfigError(
            f"no {' and no '.join(missing)}; a study needs {', '.join(KINDS)} and budgets"
        )
    shared = _shared({k: given[k] for k in (*SHARED, backend) if k in given}, registry)
    if given["searchers"] == PAPER:
        given = {**given, "searchers": paper_searchers()}
    models, named, searchers = (list(labelled(given[kind], kind)) for kind in KINDS)
    objectives = tuple(objective_definition(*objective, registry) for objective in named)
    calibrated = calibrations(given.get(CALIBRATION, {}))
    return StudyConfig(
        name=_name(given.get("name", "study")),
        shared=shared,
        models=tuple(model_definition(*model, registry, base) for model in models),
        objectives=objectives,
        calibrations=calibrated,
        conditions=conditions(objectives, calibrated, registry),
        searchers=tuple(searcher_definition(*searcher, registry) for searcher in searchers),
        budgets=_numbers(given["budgets"], "budgets"),
        seeds=_numbers(given.get("seeds", 0), "seeds"),
        draws=_numbers(given.get("draws", 0), "draws"),
        evaluate=parse_evaluation(given.get(EVALUATE) or {}),
        other_draws=_other_draws(given.get(OTHER_DRAWS, True)),
    )


def _shared(given: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    config = parse({FINALISTS: 0, **given}, registry)
    check_device(config.settings.device)
    options = values_of(config.plugins[config.settings.backend])
    values = asdict(config.settings)
    shared = {key: values[key] for key in SHARED}
    return {**shared, **({config.settings.backend: options} if options else {})}


def _numbers(value: Any, key: str) -> tuple[int, ...]:
    if isinstance(value, list) and not value:
        raise ConfigError(f"{key}: expected at least one number", (key,))
    (kind,) = (o for o in options_of(Numbers) if o.name == key)
    items = value if isinstance(value, list) else [value]
    numbers: list[Any] = []
    for index, item in enumerate(items):
        here: Key = (key, str(index)) if isinstance(value, list) else (key,)
        number = convert(kind, item, here)
        if number in numbers:
            raise ConfigError(f"{key}: {number} is given twice", here)
        numbers.append(number)
    return tuple(numbers)


def _other_draws(value: Any) -> bool:
    (found,) = options_of(Choices)
    return bool(convert(found, value, (OTHER_DRAWS,)))


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(slug(value)) <= LONGEST_NAME:
        raise ConfigError(f"name: expected a word or two, got {value!r}", ("name",))
    return value
