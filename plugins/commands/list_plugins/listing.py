"""What is installed: every plugin with its options, and what did not load."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prunekit.core.contracts import KINDS
from prunekit.core.driver import needs_of
from prunekit.core.errors import ConfigError, PluginError, blaming
from prunekit.core.interfaces import Searcher
from prunekit.core.options import Option, build, flag_name, options_of
from prunekit.core.registry import Entry, Registry, load

SCHEMA = 1
SLOW = 0.1
"""Seconds that an entry point may take to import before it is named."""


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
    """All that is to be known of a plugin before it is used."""

    kind: str
    name: str
    """as it is asked for: `distribution:name` where two plugins share a name"""
    summary: str
    description: str
    distribution: str
    version: str
    module: str
    file: str | None
    paper: str | None
    needs: Mapping[str, tuple[str, ...]]
    """the signals that a searcher needs: by default, under "", and by options that change them"""
    options: tuple[OptionCard, ...]


@dataclass(frozen=True)
class Listing:
    """Every plugin, and whatever stands in the way of others."""

    plugins: tuple[PluginCard, ...]
    failures: Mapping[str, str]
    """why an entry point did not load"""
    twins: Mapping[str, str]
    """how to ask for plugins that share a name"""
    slow: Mapping[str, str]
    """entry points that take long to import, or import what they need only later"""
    left_out: tuple[str, ...]
    """entry points that PRUNEKIT_PLUGINS does not name"""
    seconds: float
    """that importing all of them took"""

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2) + "\n"


def list_plugins(name: str | None = None, registry: Registry | None = None) -> Listing:
    """Every plugin that is installed, or those called `name`; ConfigError where there is none.

    `registry` is what was loaded already, if anything was.
    """
    registry = registry or load()
    entries = registry.called(name) if name else registry.entries
    if name and not entries:
        advice = registry.advice(name, [e.name for e in registry.entries])
        raise ConfigError(f"no plugin is called {name!r}.{advice}")
    kinds = list(KINDS)
    entries = sorted(entries, key=lambda e: (kinds.index(e.kind), registry.label(e)))
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
    return OptionCard(
        name=option.name,
        flag=flag_name(label, option.name),
        type=option.kind_name,
        default=option.default if option.default is None else _plain(option.default),
        range=option.range,
        help=option.help,
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _file(cls: type) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except (OSError, TypeError):  # made without a file
        return None


def _needs(cls: type[Any]) -> Mapping[str, tuple[str, ...]]:
    """The signals needed by default, and by each value of an option that changes them."""
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
    for label, cost in registry.loads.items():
        if cost.heavy or cost.seconds > SLOW:
            heavy = f" and imports {', '.join(cost.heavy)}" if cost.heavy else ""
            yield label, f"takes {cost.seconds:.2f} s at every start{heavy}"


def _names(searcher: Searcher) -> tuple[str, ...]:
    return tuple(signal.name for signal in needs_of(searcher))
