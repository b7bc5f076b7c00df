"""Find plugins, one entry point at a time, so that a broken one cannot stop the others."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import re
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pluggy

from prunekit.core import hookspecs
from prunekit.core.blame import one_line
from prunekit.core.errors import ConfigError, PluginError
from prunekit.core.options import nearest, suggest
from prunekit.core.plugin_checks import check_api, check_class, check_classes, check_hooks

GROUP = "prunekit"
OWN = "prunekit"
"""The distribution whose names nobody can take: a plain name goes on to mean what it meant."""
KINDS = {
    "searcher": "prunekit_searchers",
    "objective": "prunekit_objectives",
    "model": "prunekit_models",
    "backend": "prunekit_backends",
}
ONLY = "PRUNEKIT_PLUGINS"
"""The environment variable that names the distributions or entry points to load, and no others."""
FEW = 3
"""Failures that are told in full to who asks for something else."""
HEAVY = ("torch", "transformers", "datasets", "lm_eval", "ray", "sklearn", "scipy", "matplotlib")
"""Modules that a plugin should import where it uses them, not when it is listed."""


@dataclass(frozen=True)
class Entry:
    """A class that some plugin offers, and the distribution that brought it."""

    kind: str
    name: str
    cls: type[Any]
    source: str
    version: str

    @property
    def told(self) -> str:
        """The plugin as a failure names it, apart from all others."""
        return f"{self.source} {self.version}, {self.kind} {self.name}"

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class Load:
    """What it cost to import an entry point."""

    seconds: float
    heavy: tuple[str, ...]
    """those of HEAVY that were not imported before"""


@dataclass
class Registry:
    """All plugins that loaded, and the reasons of those that did not."""

    entries: list[Entry] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """entry points that PRUNEKIT_PLUGINS does not name"""

    def get(self, kind: str, name: str) -> Entry:
        """The one plugin of this kind and name; ConfigError where there is none, or several."""
        found = self.named(name, kind)
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(map(self.label, found))
            raise ConfigError(f"more than one {kind} is called {name!r}; write {choices}")
        known = [self.label(e) for e in self.entries if e.kind == kind]
        raise ConfigError(f"no {kind} is called {name!r}.{self.advice(name, known)}")

    def named(self, name: str, kind: str | None = None) -> list[Entry]:
        """Every plugin that `name` may mean.

        A plain name means that of prunekit itself, if it has one; `distribution:name` means that
        of the distribution.
        """
        found = [e for e in self.called(name) if kind in (None, e.kind)]
        own = [e for e in found if e.source == OWN]
        return own or found

    def called(self, name: str) -> list[Entry]:
        """Every plugin called `name`, of whatever kind, or `distribution:name`."""
        source, _, short = name.rpartition(":")
        return [e for e in self.entries if e.name == short and source in ("", e.source)]

    def label(self, entry: Entry) -> str:
        """The shortest name that means this plugin alone."""
        alone = self.named(entry.name) == [entry]
        return entry.name if alone else f"{entry.source}:{entry.name}"

    def advice(self, name: str, known: Iterable[str]) -> str:
        """Where a plugin that is not there may be: misspelt, not installed, left out, broken."""
        if self._failures_of(name):
            return self.told_failures(name)
        known = list(known)
        sentences = [suggest(name, known)]
        if not nearest(name, known):
            sentences.append(" If it is of another distribution, pip install that.")
        if self.left_out:
            sentences.append(f" {ONLY} leaves out {len(self.left_out)} entry points.")
        return "".join([*sentences, self.told_failures(name)])

    def told_failures(self, name: str) -> str:
        """Why plugins that are installed cannot be had, in closing sentences.

        Where many failed, those that `name` speaks of, or else how many.
        """
        few = self.failures if len(self.failures) <= FEW else {}
        told = "".join(
            f" Not loaded: {k}: {v}." for k, v in (self._failures_of(name) or few).items()
        )
        many = f" {len(self.failures)} plugins did not load; `prunekit list-plugins` says why."
        return told or (many if self.failures else "")

    def _failures_of(self, name: str) -> dict[str, str]:
        return {label: reason for label, reason in self.failures.items() if name in label}


def load() -> Registry:
    """Import every entry point of group `prunekit` and ask it for its classes.

    One that fails is noted in `failures` in one line, with its traceback where PRUNEKIT_DEBUG is
    set. Where PRUNEKIT_PLUGINS is set, only the distributions and entry points that it names,
    separated by commas, are imported.
    """
    registry = Registry()
    manager = pluggy.PluginManager("prunekit")
    manager.add_hookspecs(hookspecs)
    only = {word.strip() for word in os.environ.get(ONLY, "").split(",")} - {""}
    used: set[str] = set()
    for source, version, point in _entry_points():
        label = f"{source} {version}, entry point {point.name}"
        asked_for = {word for word in only if word == point.name or _same(word, source)}
        used |= asked_for
        if only and not asked_for:
            registry.left_out.append(label)
            continue
        with _noting_failure(registry, label), _silenced():
            module = _import(point, label, registry)
            registry.entries += _register(manager, module, source, version, registry.entries)
    if unknown := ", ".join(sorted(only - used)):
        registry.failures[ONLY] = f"names {unknown}, but nothing that is installed is called so"
    return registry


def _entry_points() -> Iterator[tuple[str, str, Any]]:
    """Each with the name and version of its distribution, which are slow to read."""
    # An editable install next to a build folder shows the same distribution twice.
    seen: set[tuple[str, str]] = set()
    for dist in importlib.metadata.distributions():
        points = [p for p in dist.entry_points if p.group == GROUP]
        points = [p for p in points if (p.name, p.value) not in seen]
        seen |= {(p.name, p.value) for p in points}
        if points:
            source, version = dist.metadata["Name"], dist.version
            yield from ((source, version, point) for point in points)


def _same(word: str, distribution: str) -> bool:
    """Whether two spellings name one distribution: `Prunekit_Foo` is `prunekit-foo`."""
    one, other = (re.sub(r"[-_.]+", "-", name).lower() for name in (word, distribution))
    return one == other


@contextlib.contextmanager
def _noting_failure(registry: Registry, label: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may do anything, such as sys.exit, when imported
        shown = traceback.format_exc() if os.environ.get("PRUNEKIT_DEBUG") else one_line(error)
        registry.failures[label] = shown


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """What is written to standard output goes nowhere, also what C or another process writes."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.ExitStack() as undo:
        with contextlib.suppress(OSError):  # closed already
            kept = os.dup(1)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, 1)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(nowhere)
        yield


def _import(point: Any, label: str, registry: Registry) -> Any:
    """The module of an entry point; what it costs is noted."""
    before = {name for name in HEAVY if name in sys.modules}
    start = time.perf_counter()
    try:
        return point.load()
    finally:
        heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)
        registry.loads[label] = Load(time.perf_counter() - start, heavy)


def _register(
    manager: pluggy.PluginManager, module: Any, source: str, version: str, others: list[Entry]
) -> list[Entry]:
    check_api(module)
    check_hooks(module, _marked(manager, module), KINDS.values())
    manager.register(module)
    try:
        entries = [
            Entry(kind, check_class(cls, kind), cls, source, version)
            for kind, hook in KINDS.items()
            for classes in _caller(manager, hook, module)()
            for cls in check_classes(classes, hook)
        ]
        if not entries:
            raise PluginError("offers nothing: its hooks return no class")
        taken = [e.name for e in others if e.source == source] + [e.name for e in entries]
        if twice := sorted({name for name in taken if taken.count(name) > 1}):
            raise PluginError(f"{source} offers {', '.join(twice)} twice; names must differ")
        return entries
    except BaseException:
        manager.unregister(module)
        raise


def _marked(manager: pluggy.PluginManager, module: object) -> list[str]:
    """The functions marked with `@hookimpl`."""
    return [name for name in dir(module) if manager.parse_hookimpl_opts(module, name) is not None]


def _caller(manager: pluggy.PluginManager, hook: str, module: object) -> pluggy.HookCaller:
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    return manager.subset_hook_caller(hook, others)
