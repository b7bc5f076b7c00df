"""Find plugins, one entry point at a time, so that a broken one cannot stop the others."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pluggy

from prunekit.core import hookspecs
from prunekit.core.errors import ConfigError, PluginError
from prunekit.core.options import options_of, suggest

GROUP = "prunekit"
KINDS = {
    "searcher": "prunekit_searchers",
    "objective": "prunekit_objectives",
    "model": "prunekit_models",
    "backend": "prunekit_backends",
}
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """A class that some plugin offers, and the distribution that brought it."""

    kind: str
    name: str
    cls: type[Any]
    source: str
    version: str

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]


@dataclass
class Registry:
    """All plugins that loaded, and the reasons of those that did not."""

    entries: list[Entry] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def get(self, kind: str, name: str) -> Entry:
        """The one plugin of this kind and name; ConfigError where there is none, or several."""
        found = self.named(name, kind)
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(f"{e.source}:{e.name}" for e in found)
            raise ConfigError(f"more than one {kind} is called {name!r}; write {choices}")
        known = [e.name for e in self.entries if e.kind == kind]
        raise ConfigError(f"no {kind} is called {name!r}.{suggest(name, known)}{self._failed()}")

    def named(self, name: str, kind: str | None = None) -> list[Entry]:
        """Every plugin called `name` or, to tell twins apart, `distribution:name`."""
        source, _, short = name.rpartition(":")
        return [
            e
            for e in self.entries
            if e.name == short and source in ("", e.source) and kind in (None, e.kind)
        ]

    def label(self, entry: Entry) -> str:
        """The shortest name that means this plugin alone."""
        alone = len(self.named(entry.name)) == 1
        return entry.name if alone else f"{entry.source}:{entry.name}"

    def _failed(self) -> str:
        return "".join(f" Not loaded: {k}: {v}." for k, v in self.failures.items())


def load() -> Registry:
    """Import every entry point of group `prunekit` and ask it for its classes.

    With PRUNEKIT_DEBUG set, the first failure is raised instead of noted.
    """
    registry = Registry()
    manager = pluggy.PluginManager("prunekit")
    manager.add_hookspecs(hookspecs)
    for dist, point in _entry_points():
        source, version = dist.metadata["Name"], dist.version
        try:
            registry.entries += _register(manager, point, source, version, registry.entries)
        except (Exception, SystemExit) as error:
            if os.environ.get("PRUNEKIT_DEBUG"):
                raise
            label = f"{source} {version}, entry point {point.name}"
            registry.failures[label] = " ".join(f"{type(error).__name__}: {error}".split())
    return registry


def _entry_points() -> Iterator[tuple[importlib.metadata.Distribution, Any]]:
    # An editable install next to a build folder shows the same distribution twice.
    seen: set[tuple[str, str]] = set()
    for dist in importlib.metadata.distributions():
        for point in dist.entry_points:
            if point.group == GROUP and (point.name, point.value) not in seen:
                seen.add((point.name, point.value))
                yield dist, point


def _register(
    manager: pluggy.PluginManager, point: Any, source: str, version: str, others: list[Entry]
) -> list[Entry]:
    with contextlib.redirect_stdout(io.StringIO()):
        module = point.load()
    _check_api(module)
    manager.register(module)
    try:
        manager.check_pending()
        entries = [
            Entry(kind, _checked_name(cls, kind), cls, source, version)
            for kind, hook in KINDS.items()
            for classes in _caller(manager, hook, module)()
            for cls in classes
        ]
        if not entries:
            raise PluginError("offers nothing: no hook returned a class")
        taken = [e.name for e in others if e.source == source] + [e.name for e in entries]
        if twice := sorted({name for name in taken if taken.count(name) > 1}):
            raise PluginError(f"{source} offers {', '.join(twice)} twice; names must differ")
        return entries
    except BaseException:
        manager.unregister(module)
        raise


def _caller(manager: pluggy.PluginManager, hook: str, module: object) -> pluggy.HookCaller:
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    return manager.subset_hook_caller(hook, others)


def _check_api(module: object) -> None:
    api = getattr(module, "PRUNEKIT_API", hookspecs.PLUGIN_API)
    if api != hookspecs.PLUGIN_API:
        older = "prunekit" if api > hookspecs.PLUGIN_API else "the plugin"
        raise PluginError(
            f"is written for plugin API {api}, this prunekit has {hookspecs.PLUGIN_API}; "
            f"upgrade {older}"
        )


def _checked_name(cls: Any, kind: str) -> str:
    name = getattr(cls, "name", None)
    if not isinstance(cls, type) or not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(
            f"{cls!r} needs a class attribute `name` of lower-case words joined by hyphens"
        )
    if kind == "objective" and not isinstance(getattr(cls, "unit", None), str):
        raise PluginError(f"objective {name!r} needs a class attribute `unit`: `nats per token`")
    options_of(cls)
    return name
