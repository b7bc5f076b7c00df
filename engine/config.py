"""The configuration of a search, from flags, a YAML file or Python."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from prunekit.core.contracts import is_mix, names_of_parts
from prunekit.core.errors import ConfigError
from prunekit.core.options import build, option, options_of, suggest
from prunekit.core.registry import Entry, Registry
from prunekit.engine.config_file import read_yaml
from prunekit.engine.limits import LIMITS, checked, without_limits
from prunekit.hf.checkpoint import DEMO
from prunekit.hf.gguf_checkpoint import is_gguf

TRUST = "trust_remote_code"
NOT_BY_A_FILE = (
    "no file can say so; read the code of the model, then add --trust-remote-code to the command"
)
BUDGET = re.compile(r"\d{1,6}|\d{1,2}(\.\d+)?%", re.ASCII)
PLUGIN_KINDS = ("searcher", "objective", "repair", "backend")
NO_REPAIR = "none"
DEFAULT_DEMO = "qwen3"
FINALISTS = 5
Attention: TypeAlias = Literal["auto", "eager", "sdpa", "flash_attention_2"]
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Settings:
    """The settings of a search, without the options of its plugins."""

    model: str | None = option(None, "folder, name on the hub, or demo:FAMILY; else demo")
    searcher: str = option("greedy", "search algorithm")
    objective: str = option("ppl", "calibration objective")
    repair: str = option(NO_REPAIR, "what makes up for removed blocks, during the search and after")
    repair_tokens: int | None = option(
        None,
        "to fit a repair on, apart from all samples; by default 8192, 4 a channel at least",
        low=1,
    )
    budget: str | None = option(None, "blocks to remove, as 7 or 25%; by default a quarter")
    shrink: str | None = option(None, "in place of a budget: parameters to remove, as 20%")
    max_parameters: str | None = option(None, "in place of it: parameters left, as 110M")
    max_memory: str | None = option(None, "in place of it: memory of the weights left, as 250MB")
    min_speedup: float | None = option(
        None, "in place of it: predicted speed of decoding over that of the dense model", low=1
    )
    protect_first: int = option(0, "first blocks that may not be removed", low=0)
    protect_last: int = option(0, "last blocks that may not be removed", low=0)
    protect: str | None = option(None, "other blocks that may not be removed, as 2,5")
    keep_pattern: bool = option(False, "remove whole periods where the kinds of blocks repeat")
    finalists: int = option(
        FINALISTS, "best subsets measured again on held-out samples; 0: none", low=0
    )
    race_deviations: float = option(
        0.0, "standard errors behind at which a candidate is measured no further; 0: none", low=0
    )
    seed: int = option(0, "seed of every random choice of the search", low=0)
    adapter: str | None = option(None, "model family; by default it is recognised")
    backend: str = option("local", "where measurements run")
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps")
    dtype: Dtype = option("auto", "auto is the checkpoint's own where the device runs it well")
    attention: Attention = option("auto", "auto is what transformers and config.json choose")
    revision: str | None = option(None, "branch, tag or commit on the hub")
    trust_remote_code: bool = option(False, "run code that comes with the model")
    tokens_per_forward: int = option(
        8192, "tokens at once; changes speed and memory, in 16 bits also roundings", low=1
    )
    state_memory: str | None = option(
        None, "for states kept between requests, as 2GB; by default a quarter of what is free"
    )

    def plugins(self) -> dict[str, str]:
        """Return the name of the plugin of each kind that can be chosen."""
        kinds = {"searcher": self.searcher, "objective": self.objective, "backend": self.backend}
        return kinds if self.repair == NO_REPAIR else {**kinds, "repair": self.repair}


@dataclass(frozen=True)
class SearchConfig:
    """Settings, and the options of the chosen plugins by plugin name."""

    settings: Settings
    options: Mapping[str, Mapping[str, Any]]
    plugins: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """searcher, objective, repair and backend by the same names, and the parts of a mix"""

    def as_dict(self) -> dict[str, Any]:
        """Return the content of a configuration file."""
        values = dataclasses.asdict(self.settings)
        if self.settings.budget and self.settings.budget.isdecimal():
            values["budget"] = int(self.settings.budget)
        if self.settings.attention == "auto":  # runs of version 0.1 do not have it, nor its name
            del values["attention"]
        if self.settings.finalists == FINALISTS:  # nor this one
            del values["finalists"]
        if self.settings.state_memory is None:  # nor this one
            del values["state_memory"]
        if not self.settings.race_deviations:  # nor this one
            del values["race_deviations"]
        if self.settings.repair == NO_REPAIR:  # nor these
            del values["repair"]
        if self.settings.repair_tokens is None:
            del values["repair_tokens"]
        for limit in LIMITS:  # nor these, which a plan resolves to a budget
            if values[limit] is None:
                del values[limit]
        return {**values, **self.options}

    def digest(self) -> str:
        """Return eight letters that identify the search, whatever backend measures it."""
        where = ("backend", self.settings.backend, "state_memory")
        what = {word: value for word, value in self.as_dict().items() if word not in where}
        text = json.dumps(what, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def parse(given: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """Check every key and value, and make the plugins. Raises ConfigError with the wrong key."""
    known = {o.name for o in options_of(Settings)}
    if (budget := given.get("budget")) is not None:
        given = {**given, "budget": _budget(budget)}
    given = checked(given)
    if given.get("repair_tokens") is not None and given.get("repair", NO_REPAIR) == NO_REPAIR:
        raise ConfigError(
            "repair_tokens: no repair is chosen; add one, as --repair magnitude, or leave it out",
            ("repair_tokens",),
        )
    settings = _canonical(build(Settings, {k: v for k, v in given.items() if k in known}), registry)
    options = _canonical_keys({k: v for k, v in given.items() if k not in known}, registry)
    for name, value in options.items():
        if registry.named(name) and not isinstance(value, Mapping):
            said = f"{name}: expected options such as {{seed: 1}}, got {value!r}"
            raise ConfigError(said, (name,))
    plugins = _make_plugins(settings, options, registry)
    for name in options:
        if name not in plugins and registry.named(name):
            raise ConfigError(
                f"options of {name!r} were given, but this search runs {', '.join(plugins)}; "
                f"choose {name!r} or leave its options out",
                (name,),
            )
        if name not in plugins:
            raise ConfigError(f"{name}: no such key.{suggest(name, known | set(plugins))}", (name,))
    return SearchConfig(settings, options, plugins)


def _budget(given: object) -> str:
    """Return a number of blocks or a share of them as text."""
    text = "" if isinstance(given, bool) else str(given).strip()
    if not BUDGET.fullmatch(text):
        raise ConfigError(
            f"budget: expected a number of blocks, as 7, or a share of them, as 25%, got {given!r}",
            ("budget",),
        )
    return text


def read_config(path: Path | None, flags: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """Parse flags, which win over those of a file if one is given.

    Raises ConfigError if the file alone trusts the model's code.
    """
    if path is None:
        return parse(flags, registry)
    config = parse_file(path, flags, registry)
    if config.settings.trust_remote_code and TRUST not in flags:
        raise ConfigError(f"{path}: {TRUST}: {NOT_BY_A_FILE}", (TRUST,))
    return config


def parse_file(path: Path, flags: Mapping[str, Any], registry: Registry) -> SearchConfig:
    """Parse a YAML file and flags, which win; errors in the file name the line."""
    data, lines = read_yaml(path, "searcher: greedy")
    for kind in PLUGIN_KINDS:
        if kind in flags and flags[kind] != data.get(kind):
            data.pop(str(data.get(kind)), None)  # options of a plugin that a flag replaces
    if flags.get("repair") == NO_REPAIR:
        data.pop("repair_tokens", None)
    if without_limits(flags) != flags:  # a budget that replaces that of the file
        data = without_limits(data)
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
    """Merge two configurations; the one above wins, option by option."""
    merged = {**below, **above}
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            merged[name] = {**below[name], **value}
    return merged


def _canonical(settings: Settings, registry: Registry) -> Settings:
    """Name plugins by the shortest names that are unique."""
    labels: dict[str, Any] = {
        kind: registry.label(_named(registry, kind, name, kind))
        for kind, name in settings.plugins().items()
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


def _make_plugins(
    settings: Settings, options: Mapping[str, Any], registry: Registry
) -> dict[str, Any]:
    """Make the chosen plugins; an objective that is made of others brings them along."""
    demo = (with_full_model_name(settings).model or "").startswith(DEMO)

    def make(kind: str, name: str, *key: str) -> Any:
        cls = _named(registry, kind, name, *key).cls
        defaults = cls.demo_options if demo and kind == "objective" else {}
        return build(cls, merge(defaults, options.get(name, {})), name)

    made = {name: make(kind, name, kind) for kind, name in settings.plugins().items()}
    objective = made[settings.objective]
    if is_mix(objective):
        weights = objective.parts_by_name()
        for name in names_of_parts(objective):
            key = "parts" if name in weights else "bound"
            made[name] = make("objective", name, settings.objective, key)
    return made


def _named(registry: Registry, kind: str, name: str, *key: str) -> Entry:
    try:
        return registry.get(kind, name)
    except ConfigError as error:
        raise ConfigError(str(error), key) from error


def with_full_model_name(settings: Settings) -> Settings:
    """Replace `demo` by the name of an embedded model, and a folder or file by its absolute path.

    Raises ConfigError for an empty name, as from a shell variable that was never set.
    """
    model = "demo" if settings.model is None else settings.model
    if not model.strip():
        raise ConfigError(f"--model {model!r}: expected a folder, OWNER/NAME, or demo")
    if model == "demo":
        model = DEMO + DEFAULT_DEMO
    elif (place := Path(model).expanduser()).is_dir():
        model = str(place.resolve())
    elif is_gguf(model) and place.is_file():
        model = os.path.abspath(
            place
        )  # a link of the hub's cache leads to a file without an ending
    return dataclasses.replace(settings, model=model)
