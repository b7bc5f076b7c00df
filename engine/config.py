"""What a search is told, from flags, a YAML file or Python."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from prunekit.core.contracts import is_mix
from prunekit.core.errors import ConfigError
from prunekit.core.options import build, option, options_of, suggest
from prunekit.core.registry import Entry, Registry
from prunekit.engine.config_file import read_yaml

TRUST = "trust_remote_code"
NOT_BY_A_FILE = (
    "no file can say so; read the code of the model, then add --trust-remote-code to the command"
)
PLUGIN_KINDS = ("searcher", "objective", "backend")
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Settings:
    """Everything about a search but the options of its plugins."""

    model: str | None = option(None, "folder, name on the hub, or demo:FAMILY; else demo")
    searcher: str = option("greedy", "search algorithm")
    objective: str = option("ppl", "calibration objective")
    budget: int | None = option(None, "blocks to remove; by default a quarter of them")
    protect_first: int = option(0, "first blocks that may not be removed", low=0)
    protect_last: int = option(0, "last blocks that may not be removed", low=0)
    protect: str | None = option(None, "other blocks that may not be removed, as 2,5")
    keep_pattern: bool = option(False, "remove whole periods where the kinds of blocks repeat")
    seed: int = option(0, "seed of every random choice of the search", low=0)
    adapter: str | None = option(None, "model family; by default it is recognised")
    backend: str = option("local", "where measurements run")
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps")
    dtype: Dtype = option("auto", "auto is the checkpoint's own where the device runs it well")
    revision: str | None = option(None, "branch, tag or commit on the hub")
    trust_remote_code: bool = option(False, "run code that comes with the model")
    tokens_per_forward: int = option(
        8192, "tokens at once; changes speed and memory, in 16 bits also roundings", low=1
    )


@dataclass(frozen=True)
class SearchConfig:
    """Settings, and the options of the chosen plugins by plugin name."""

    settings: Settings
    options: Mapping[str, Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The words of a configuration file."""
        return {**dataclasses.asdict(self.settings), **self.options}

    def digest(self) -> str:
        """Eight letters that tell what is searched from other searches, wherever it is measured."""
        where = ("backend", self.settings.backend)
        what = {word: value for word, value in self.as_dict().items() if word not in where}
        text = json.dumps(what, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def parse(given: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """Check every key and value; ConfigError names the one that is wrong."""
    known = {o.name for o in options_of(Settings)}
    settings = _canonical(build(Settings, {k: v for k, v in given.items() if k in known}), registry)
    options = _canonical_keys({k: v for k, v in given.items() if k not in known}, registry)
    chosen = chosen_plugins(settings, options, registry)
    for name, value in options.items():
        _check_options(name, value, chosen, known, registry)
    return SearchConfig(settings, options)


def read_config(path: Path | None, flags: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """What flags say, over a file where one is given; ConfigError where it alone says trust."""
    if path is None:
        return parse(flags, registry)
    config = parse_file(path, flags, registry)
    if config.settings.trust_remote_code and TRUST not in flags:
        raise ConfigError(f"{path}: {TRUST}: {NOT_BY_A_FILE}", (TRUST,))
    return config


def parse_file(path: Path, flags: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """The same from a YAML file, over which flags win; errors in the file name the line."""
    data, lines = read_yaml(path, "searcher: greedy")
    for kind in PLUGIN_KINDS:
        if kind in flags and flags[kind] != data.get(kind):
            data.pop(str(data.get(kind)), None)  # options of a plugin that a flag replaces
    try:
        return parse(merge(data, flags), registry)
    except ConfigError as error:
        if error.key not in lines or _is_in(flags, error.key):
            raise
        raise ConfigError(f"{path}:{lines[error.key]}: {error}", error.key) from error


def _is_in(flags: Mapping[str, Any], key: tuple[str, ...]) -> bool:
    for word in key:
        if not isinstance(flags, Mapping) or word not in flags:
            return False
        flags = flags[word]
    return True


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both have a value the one above wins, option by option."""
    merged = {**below, **above}
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            merged[name] = {**below[name], **value}
    return merged


def _canonical(settings: Settings, registry: Registry) -> Settings:
    """Plugins by the shortest names that mean them alone."""
    labels: dict[str, Any] = {
        kind: registry.label(_named(registry, kind, getattr(settings, kind)))
        for kind in PLUGIN_KINDS
    }
    return dataclasses.replace(settings, **labels)


def _canonical_keys(options: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    canonical: dict[str, Any] = {}
    for name, value in options.items():
        found = registry.named(name)
        label = registry.label(found[0]) if len(found) == 1 else name
        if label in canonical:
            raise ConfigError(f"options of {label!r} are given twice, also as {name!r}", (name,))
        canonical[label] = value
    return canonical


def chosen_plugins(
    settings: Settings, options: Mapping[str, Any], registry: Registry
) -> dict[str, Entry]:
    """The plugins of a search, by the names that the configuration gives them.

    An objective that is made of others brings them along.
    """
    chosen = {
        name: _named(registry, kind, name)
        for kind, name in ((kind, getattr(settings, kind)) for kind in PLUGIN_KINDS)
    }
    objective = chosen[settings.objective].cls
    if is_mix(objective):
        mix = build(objective, options.get(settings.objective, {}), settings.objective)
        for name in mix.parts_by_name():
            try:
                chosen[name] = registry.get("objective", name)
            except ConfigError as error:
                raise ConfigError(str(error), (settings.objective, "parts")) from error
    return chosen


def _named(registry: Registry, kind: str, name: str) -> Entry:
    try:
        return registry.get(kind, name)
    except ConfigError as error:
        raise ConfigError(str(error), (kind,)) from error


def _check_options(
    name: str, value: Any, chosen: Mapping[str, Entry], known: set[str], registry: Registry
) -> None:
    if registry.named(name) and not isinstance(value, Mapping):
        raise ConfigError(f"{name}: expected options such as {{seed: 1}}, got {value!r}", (name,))
    if name in chosen:
        build(chosen[name].cls, value, name)
    elif registry.named(name):
        raise ConfigError(
            f"options of {name!r} were given, but this search runs {', '.join(chosen)}; "
            f"choose {name!r} or leave its options out",
            (name,),
        )
    else:
        raise ConfigError(f"{name}: no such key.{suggest(name, known | set(chosen))}", (name,))
