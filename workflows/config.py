"""What a search is told, from flags, a YAML file or Python; and what it resolves to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from prunekit.core.checkpoint import DEMO, Checkpoint, find
from prunekit.core.config_file import read_yaml
from prunekit.core.errors import ConfigError
from prunekit.core.interfaces import Backend, Objective, Searcher, Spec
from prunekit.core.loading import block_count, choose_adapter
from prunekit.core.options import build, option, options_of, suggest, values_of
from prunekit.core.problem import Problem
from prunekit.core.registry import Entry, Registry

DEFAULT_DEMO = "qwen3"
Dtype: TypeAlias = Literal["auto", "own", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Settings:
    """Everything about a search but the options of its plugins."""

    model: str = option("demo", "folder, name on the hub, demo, or demo:FAMILY")
    searcher: str = option("greedy", "search algorithm")
    objective: str = option("ppl", "calibration objective")
    budget: int | None = option(None, "blocks to remove; by default a quarter of them")
    protect_first: int = option(0, "first blocks that may not be removed", low=0)
    protect_last: int = option(0, "last blocks that may not be removed", low=0)
    seed: int = option(0, "seed of every random choice of the search", low=0)
    adapter: str | None = option(None, "model family; by default it is recognised")
    backend: str = option("local", "where measurements run")
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps")
    dtype: Dtype = option("auto", "auto is the checkpoint's own where the device runs it well")
    revision: str | None = option(None, "branch, tag or commit on the hub")
    trust_remote_code: bool = option(False, "run code that comes with the model")
    tokens_per_forward: int = option(8192, "tokens at once; changes speed and memory only", low=1)


@dataclass(frozen=True)
class SearchConfig:
    """Settings, and the options of the chosen plugins by plugin name."""

    settings: Settings
    options: Mapping[str, Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The words of a configuration file."""
        return {**dataclasses.asdict(self.settings), **self.options}

    def digest(self) -> str:
        """Eight letters that tell this configuration from others."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


@dataclass(frozen=True)
class Plan:
    """A configuration with every default filled in and every plugin made; no weight is read."""

    config: SearchConfig
    spec: Spec
    checkpoint: Checkpoint
    context_length: int | None
    searcher: Searcher
    objective: Objective
    backend: Backend
    problem: Problem

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        s = self.config.settings
        words = f"{s.searcher}-{s.objective}-k{self.problem.budget}".replace(":", "-")
        return f"{words}-{self.config.digest()}"


def parse(given: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """Check every key and value; ConfigError names the one that is wrong."""
    known = {o.name for o in options_of(Settings)}
    settings = build(Settings, {k: v for k, v in given.items() if k in known})
    chosen = _chosen(settings, registry)
    options: dict[str, Mapping[str, Any]] = {}
    for name, value in given.items():
        if name not in known:
            options[name] = _plugin_options(name, value, chosen, known, registry)
    return SearchConfig(settings, options)


def parse_file(path: Path, flags: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """The same from a YAML file, over which flags win; errors name the line."""
    data, lines = read_yaml(path)
    try:
        parse(data, registry)
    except ConfigError as error:
        line = lines.get(error.key)
        where = f"{path}:{line}" if line else str(path)
        raise ConfigError(f"{where}: {error}", error.key) from error
    return parse(merge(data, flags), registry)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both have a value the one above wins, option by option."""
    merged = {**below, **above}
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            merged[name] = {**below[name], **value}
    return merged


def resolve(config: SearchConfig, registry: Registry) -> Plan:
    """Find the model and make the plugins. Raises ConfigError or CheckpointError."""
    settings = _with_full_model_name(config.settings)
    plugins = {
        kind: _make(kind, entry, config, settings)
        for kind, entry in _chosen(settings, registry).items()
    }
    spec = spec_of(settings)
    checkpoint = find(spec, registry)
    model_config = checkpoint.config()
    choose_adapter(model_config, settings.adapter, registry)
    problem = _problem(settings, block_count(model_config))
    settings = dataclasses.replace(settings, budget=problem.budget)
    options = {getattr(settings, kind): values_of(plugin) for kind, plugin in plugins.items()}
    return Plan(
        config=SearchConfig(settings, {k: v for k, v in options.items() if v}),
        spec=spec,
        checkpoint=checkpoint,
        context_length=getattr(model_config.get_text_config(), "max_position_embeddings", None),
        problem=problem,
        **plugins,
    )


def _chosen(settings: Settings, registry: Registry) -> dict[str, Entry]:
    names = {kind: getattr(settings, kind) for kind in ("searcher", "objective", "backend")}
    return {kind: _named(registry, kind, name) for kind, name in names.items()}


def _named(registry: Registry, kind: str, name: str) -> Entry:
    try:
        return registry.get(kind, name)
    except ConfigError as error:
        raise ConfigError(str(error), (kind,)) from error


def _plugin_options(
    name: str, value: Any, chosen: Mapping[str, Entry], known: set[str], registry: Registry
) -> Mapping[str, Any]:
    entry = next((e for e in chosen.values() if name in (e.name, registry.label(e))), None)
    if entry is None and registry.named(name):
        names = ", ".join(registry.label(e) for e in chosen.values())
        raise ConfigError(
            f"options of {name!r} were given, but this search runs {names}; "
            f"choose {name!r} or leave its options out",
            (name,),
        )
    if entry is None:
        near = suggest(name, known | {e.name for e in chosen.values()})
        raise ConfigError(f"{name}: no such key.{near}", (name,))
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: expected options such as {{seed: 1}}, got {value!r}", (name,))
    build(entry.cls, value, name)
    return value


def _make(kind: str, entry: Entry, config: SearchConfig, settings: Settings) -> Any:
    demo = settings.model.startswith(DEMO)
    defaults = getattr(entry.cls, "demo_options", {}) if demo else {}
    names = {entry.name, getattr(settings, kind)}
    given = [options for name, options in config.options.items() if name in names]
    return build(entry.cls, merge(defaults, given[0] if given else {}), entry.name)


def _with_full_model_name(settings: Settings) -> Settings:
    demo = settings.model == "demo"
    return dataclasses.replace(settings, model=DEMO + DEFAULT_DEMO) if demo else settings


def spec_of(settings: Settings) -> Spec:
    """What a worker needs to load the model."""
    settings = _with_full_model_name(settings)
    names = [f.name for f in dataclasses.fields(Spec)]
    return Spec(**{name: getattr(settings, name) for name in names})


def _problem(settings: Settings, n_blocks: int) -> Problem:
    first, last = settings.protect_first, settings.protect_last
    protected = frozenset(i for i in range(n_blocks) if i < first or i >= n_blocks - last)
    budget = max(1, n_blocks // 4) if settings.budget is None else settings.budget
    return Problem(n_blocks, budget, protected, settings.seed)
