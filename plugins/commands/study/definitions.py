"""The models, objectives and searchers of a study: each has a label, and is checked by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from prunekit.core.contracts import is_mix, names_of_parts
from prunekit.core.errors import CheckpointError, ConfigError, blaming
from prunekit.core.interfaces import Searcher
from prunekit.core.options import build, nearest, options_of, suggest, values_of
from prunekit.core.registry import Entry, Registry
from prunekit.core.spec import Spec
from prunekit.engine.config import SearchConfig, merge, parse
from prunekit.engine.plan import OF_LOADING, spec_of
from prunekit.engine.study_folder import slug
from prunekit.hf.checkpoint import DEMO, find

Key: TypeAlias = tuple[str, ...]
OF_BLOCKS = ("protect_first", "protect_last", "protect", "keep_pattern")
DEVICES = ("auto", "cpu", "cuda", "mps")
MODEL_KEYS = (*OF_LOADING, *OF_BLOCKS, "config")


@dataclass(frozen=True)
class Definition:
    """A labelled model, objective, calibration or searcher."""

    label: str
    where: Key
    """its key in the study's file"""
    given: Mapping[str, Any]
    """in the words of a search"""
    resolved: Mapping[str, Any]
    """in the words of a study, with every option"""
    drawn: tuple[str, ...] = ()
    """plugins of an objective whose option `seed` is the calibration draw"""
    config: Path | None = None
    """of a model: a folder whose config.json gives its shape without the hub"""
    calibration: str = ""
    """of an objective: the label of the calibration that changed its options, if one did"""

    def made(self, registry: Registry) -> Searcher:
        """Make the searcher."""
        name = self.given["searcher"]
        searcher: Searcher = build(
            registry.get("searcher", name).cls, self.given.get(name, {}), name
        )
        return searcher

    def with_draw(self, draw: int) -> dict[str, Any]:
        """Return the settings of an objective for one calibration draw."""
        return merge(self.given, {name: {"seed": draw} for name in self.drawn})


def labelled(value: Any, kind: str) -> Iterator[tuple[str, Any, Key]]:
    """Yield label, definition and key of a name, a list of names, or a mapping."""
    for label, said, where in _listed(value, kind):
        if not slug(label):
            raise ConfigError(f"{kind}: expected a label with letters, got {label!r}", where)
        yield label, said, where


def _listed(value: Any, kind: str) -> Iterator[tuple[str, Any, Key]]:
    if isinstance(value, str):
        yield value, None, (kind,)
    elif isinstance(value, list) and value:
        for index, name in enumerate(value):
            if not isinstance(name, str):
                raise ConfigError(
                    f"{kind}: expected names, got {name!r}; to give options write a mapping, "
                    "LABEL: {OPTION: VALUE}",
                    (kind, str(index)),
                )
            if name in value[:index]:
                raise ConfigError(f"{kind}: {name!r} is given twice", (kind, str(index)))
            yield name, None, (kind, str(index))
    elif isinstance(value, Mapping) and value:
        for label, said in value.items():
            yield label, said, (kind, label)
    else:
        raise ConfigError(f"{kind}: expected a list of names or a mapping, got {value!r}", (kind,))


def model_definition(
    label: str, said: Any, where: Key, registry: Registry, base: Path
) -> Definition:
    """Check a model: its name, or a mapping of the settings that load it. No weight is read."""
    given = {"model": label, **_as_mapping(said, "model", where)}
    for name in given:
        if name not in MODEL_KEYS:
            key = (*where, name)
            raise ConfigError(f"{'.'.join(key)}: no such key.{suggest(name, MODEL_KEYS)}", key)
    config = given.pop("config", None)
    with located(where):
        settings = parse(given, registry).settings
        check_device(settings.device)
        _check_model(spec_of(settings), registry)
    resolved = {**given, "model": spec_of(settings).model}
    folder = None if config is None else _config_folder(base, config, (*where, "config"))
    if folder:
        resolved["config"] = str(folder)
    return Definition(label, where, given, resolved, config=folder)


def objective_definition(label: str, said: Any, where: Key, registry: Registry) -> Definition:
    """Check an objective: its name, or a mapping of its options and those of its parts by name."""
    config = _parse_plugin("objective", label, said, where, registry)
    with located(where, own=config.settings.objective):
        return _objective(label, where, config)


def recalibrated(
    objective: Definition, options: Mapping[str, Mapping[str, Any]], registry: Registry
) -> Definition:
    """Return an objective with other options, by plugin. A ConfigError has their key."""
    config = parse(merge(objective.given, options), registry)
    return _objective(objective.label, objective.where, config)


def objectives_of(config: SearchConfig) -> dict[str, Any]:
    """Return the objective of a search and, if it is made of others, its parts, by name."""
    others = (config.settings.searcher, config.settings.backend)
    return {name: made for name, made in config.plugins.items() if name not in others}


def _objective(label: str, where: Key, config: SearchConfig) -> Definition:
    own, objectives = config.settings.objective, objectives_of(config)
    for name, objective in objectives.items():
        _check_objective(name, objective, config.options.get(name, {}))
    values = {name: values_of(objective) for name, objective in objectives.items()}
    drawn = [name for name, options in values.items() if "seed" in options]
    for name, objective in objectives.items():
        for option in ("seed", *objective.demo_options):
            if option not in config.options.get(name, {}):
                values[name].pop(option, None)  # the draw, and what a demo model changes
    resolved = {"objective": own, **values.pop(own), **values}
    given = {"objective": own, **config.options}
    return Definition(label, where, given, resolved, drawn=tuple(drawn))


def searcher_definition(label: str, said: Any, where: Key, registry: Registry) -> Definition:
    """Check a searcher: its name, or a mapping of its options."""
    config = _parse_plugin("searcher", label, said, where, registry)
    own = config.settings.searcher
    resolved = {"searcher": own, **values_of(config.plugins[own])}
    return Definition(label, where, {"searcher": own, **config.options}, resolved)


def check_device(name: str) -> None:
    """Raise ConfigError unless it names a device, which need not exist on this machine."""
    if name not in DEVICES and not re.fullmatch(r"cuda:\d+", name):
        raise ConfigError(
            f"device: expected auto, cpu, cuda, cuda:N or mps, got {name!r}."
            f"{suggest(name, DEVICES)}",
            ("device",),
        )


@contextmanager
def located(where: Key, own: str = "") -> Iterator[None]:
    """Add the place in the study's file to errors; the options of `own` are at `where` itself."""
    try:
        yield
    except ConfigError as error:
        key = error.key[1:] if error.key[:1] == (own,) else error.key
        raise ConfigError(str(error), (*where, *key)) from error


def _parse_plugin(kind: str, label: str, said: Any, where: Key, registry: Registry) -> SearchConfig:
    options = _as_mapping(said, kind, where)
    name = options.pop(kind, label)
    if not isinstance(name, str):
        raise ConfigError(f"{kind}: expected a name, got {name!r}", (*where, kind))
    nested = {k: v for k, v in options.items() if isinstance(v, Mapping) and registry.named(k)}
    own = {k: v for k, v in options.items() if k not in nested}
    if name == label and not registry.named(name, kind):
        _check_label(kind, label, options, where)
    with located((*where, kind)):
        entry = registry.get(kind, name)
    canonical = registry.label(entry)
    with located(where, own=canonical):
        _check_nested(entry, canonical, options, registry)
        return parse({kind: name, name: own, **nested}, registry)


def _check_nested(entry: Entry, name: str, options: Mapping[str, Any], registry: Registry) -> None:
    """Raise ConfigError if nested options are not those of the parts of a mix."""
    nested = [key for key, value in options.items() if isinstance(value, Mapping)]
    parts: list[str] = []
    if nested and is_mix(entry.cls):
        own = {k: v for k, v in options.items() if k not in nested}
        parts = names_of_parts(build(entry.cls, own, name))
    of_parts = {found for part in parts for found in registry.named(part)}
    for key in nested:
        if not of_parts & set(registry.named(key)):
            known = [*parts, *(option.name for option in options_of(entry.cls))]
            raise ConfigError(f"{name}.{key}: no such option.{suggest(key, known)}", (name, key))


def _check_objective(name: str, objective: Any, given: Mapping[str, Any]) -> None:
    """Raise ConfigError if an objective sets its draw, or its data cannot exist."""
    if "seed" in given:
        raise ConfigError(
            f"{name}.seed: in a study the draws say this; write `draws: [...]`", (name, "seed")
        )
    if not is_mix(objective):
        with blaming("objective", objective):
            objective.check_data()


def _check_label(kind: str, label: str, options: Mapping[str, Any], where: Key) -> None:
    """Raise ConfigError if a label is no plugin because the key of its plugin is misspelt."""
    for key in options:
        if nearest(key, [kind]):
            raise ConfigError(
                f"{'.'.join((*where, key))}: no such key. Did you mean {kind!r}?", (*where, key)
            )


def _as_mapping(said: Any, kind: str, where: Key) -> dict[str, Any]:
    if said is None:
        return {}
    if isinstance(said, str):
        return {kind: said}
    if isinstance(said, Mapping):
        return dict(said)
    raise ConfigError(
        f"{'.'.join(where)}: expected options such as {{seed: 1}}, got {said!r}", where
    )


def demo_advice(model: str, registry: Registry) -> str:
    """Suggest an embedded model, if the name is similar to one."""
    demos = [f"{DEMO}{e.name}" for e in registry.entries if e.kind == "model" and e.cls.demo]
    near = nearest(model, demos)
    return f". Did you mean {near!r}?" if near else ""


def _check_model(spec: Spec, registry: Registry) -> None:
    """Raise ConfigError if a model or adapter of this name cannot exist."""
    try:
        find(spec, registry)
    except CheckpointError as error:
        raise ConfigError(f"{error}{demo_advice(spec.model, registry)}", ("model",)) from error
    if spec.adapter is not None:
        with located(("adapter",)):
            registry.get("model", spec.adapter)


def _config_folder(base: Path, config: Any, key: Key) -> Path:
    folder = base / Path(str(config)).expanduser()
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{'.'.join(key)}: no config.json in {folder}; name a folder that holds one, as seen "
            "from the study's file",
            key,
        )
    return folder.resolve()
