"""List every installed plugin with its options, and those that failed to load."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.cli.flags import flag_name
from prunekit.core.contracts import KINDS
from prunekit.core.driver import needs_of
from prunekit.core.errors import ConfigError, PluginError, blaming
from prunekit.core.interfaces import Searcher
from prunekit.core.options import Option, build, options_of
from prunekit.core.registry import OWN, Entry, Registry, load

SCHEMA = 1
SLOW = 0.1
"""An entry point is reported if it takes more seconds than this to import."""


@dataclass(frozen=True)
class OptionCard:
    """One option of a plugin."""

    name: str
    flag: str
    type: str
    default: Any
    range: str
    help: str


@dataclass(frozen=True)
class PluginCard:
    """Everything to know about a plugin before using it."""

    kind: str
    name: str
    """what users type: `distribution:name` if two plugins share a name"""
    summary: str
    description: str
    distribution: str
    version: str
    module: str
    file: str | None
    paper: str | None
    needs: Mapping[str, tuple[str, ...]]
    """signals that a searcher needs: by default, under "", and with options that change them"""
    options: tuple[OptionCard, ...]


@dataclass(frozen=True)
class Listing:
    """All plugins, and the problems found while loading them."""

    plugins: tuple[PluginCard, ...]
    failures: Mapping[str, str]
    """entry points that did not load, and the reasons"""
    twins: Mapping[str, str]
    """plugins that share a name, and what to type for each"""
    slow: Mapping[str, str]
    """entry points that slow every start, by their own time or by heavy imports"""
    left_out: tuple[str, ...]
    """entry points that PRUNEKIT_PLUGINS does not name"""
    seconds: float
    """import time of all entry points"""

    def to_json(self) -> str:
        """Return JSON text."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2) + "\n"


def list_plugins(name: str | None = None, registry: Registry | None = None) -> Listing:
    """Describe every installed plugin, or those called `name`, from `registry` if one is loaded.

    Raises ConfigError if no plugin has that name.
    """
    registry = registry or load()
    entries = registry.called(name) if name else registry.entries
    if name and not entries:
        advice = registry.advice(name, [e.name for e in registry.entries])
        raise ConfigError(f"no plugin is called {name!r}.{advice}")
    entries = sorted(entries, key=lambda e: (list(KINDS).index(e.kind), registry.label(e)))
    cards, failures = [], dict(registry.failures)
    for entry in entries:
        try:
            cards.append(_card(entry, registry))
        except PluginError as error:
            failures[entry.label] = str(error)
    if name and not cards:
        raise PluginError("; ".join(failures[e.label] for e in entries))
    return Listing(
        plugins=tuple(cards),
        failures=failures,
        twins=dict(_twins(registry)),
        slow=dict(_slow(registry)),
        left_out=tuple(registry.left_out),
        seconds=round(sum(cost.seconds for cost in registry.loads.values()), 3),
    )


def _card(entry: Entry, registry: Registry) -> PluginCard:
    label, cls = registry.label(entry), entry.cls
    return PluginCard(
        kind=entry.kind,
        name=label,
        summary=entry.summary,
        description=inspect.cleandoc(cls.__doc__ or ""),
        distribution=entry.source,
        version=entry.version,
        module=cls.__module__,
        file=_file(cls),
        paper=str(cls.paper) if cls.paper else None,
        needs=_needs(cls) if entry.kind == "searcher" else {},
        options=tuple(_option(label, option) for option in options_of(cls)),
    )


def _option(label: str, option: Option) -> OptionCard:
    default, flag = option.default, flag_name(label, option.name)
    if not isinstance(default, (bool, int, float, str, type(None))):
        default = str(default)
    return OptionCard(option.name, flag, option.kind_name, default, option.range, option.help)


def _file(cls: type) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except (OSError, TypeError):  # it was not defined in a file
        return None


def _needs(cls: type[Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the signals needed by default, and by values of options that change them."""
    with blaming("searcher", cls):
        needs = {"": _names(cls())}
        for option in options_of(cls):
            values = option.choices or ((not option.default,) if option.kind is bool else ())
            for value in values:
                found = _names(build(cls, {option.name: value}))
                if found != needs[""]:
                    needs[f"{option.name}={value}"] = found
    return needs


def _twins(registry: Registry) -> Iterator[tuple[str, str]]:
    for name in sorted({e.name for e in registry.entries}):
        twins = registry.called(name)
        if len(twins) > 1:
            kinds = " and ".join(sorted({e.kind for e in twins}))
            yield f"{kinds} {name!r}", "write " + " or ".join(sorted(map(registry.label, twins)))


def _slow(registry: Registry) -> Iterator[tuple[str, str]]:
    """Find other distributions' entry points that are slow, and all with heavy imports."""
    for label, cost in registry.loads.items():
        if cost.heavy or (cost.seconds > SLOW and not label.startswith(f"{OWN} ")):
            heavy = f" and imports {', '.join(cost.heavy)}" if cost.heavy else ""
            yield label, f"takes {cost.seconds:.2f} s at every start{heavy}"


def _names(searcher: Searcher) -> tuple[str, ...]:
    return tuple(signal.name for signal in needs_of(searcher))
