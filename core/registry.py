"""Find plugins, one entry point at a time, so that a broken one cannot stop the others."""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import io
import os
import re
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pluggy

from prunekit.core import hookspecs
from prunekit.core.contracts import KINDS, check_api, check_class, check_classes, check_hooks
from prunekit.core.errors import ConfigError, PluginError, debugging, one_line
from prunekit.core.options import nearest, suggest

GROUP = "prunekit"
COMMANDS = "prunekit.commands"
"""The group of entry points with commands, which only the command line reads."""
OWN = "prunekit"
"""The distribution whose names cannot be taken: a plain name always means its plugin."""
ONLY = "PRUNEKIT_PLUGINS"
"""The environment variable that names the distributions or entry points to load, and no others."""
FEW = 3
"""The most failures that other messages quote in full."""
HEAVY = ("torch", "transformers", "datasets", "lm_eval", "ray", "sklearn", "scipy", "matplotlib")
"""Modules that a plugin should import where it uses them, not when it is listed."""


@dataclass(frozen=True)
class Entry:
    """A plugin class and the distribution that provides it."""

    kind: str
    name: str
    cls: type[Any]
    source: str
    version: str

    @property
    def label(self) -> str:
        """Its name in a list of failures, different from all others."""
        return f"{self.source} {self.version}, {self.kind} {self.name}"

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class Load:
    """The cost of importing an entry point."""

    seconds: float
    """of processor time, as others may keep the machine busy"""
    heavy: tuple[str, ...]
    """those of HEAVY that were not imported before"""


@dataclass
class Registry:
    """All plugins that loaded, and the reasons why others did not."""

    entries: list[Entry] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """entry points that PRUNEKIT_PLUGINS does not name"""

    def of(self, kind: str) -> list[Entry]:
        """Return all plugins of a kind."""
        return [e for e in self.entries if e.kind == kind]

    def get(self, kind: str, name: str) -> Entry:
        """Return the plugin of this kind and name. Raises ConfigError if none or several match."""
        found = self.named(name, kind)
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(map(self.label, found))
            raise ConfigError(f"more than one {kind} is called {name!r}; write {choices}")
        known = map(self.label, self.of(kind))
        raise ConfigError(f"no {kind} is called {name!r}.{self.advice(name, known)}")

    def named(self, name: str, kind: str | None = None) -> list[Entry]:
        """Return every plugin that `name` may mean, of one kind or of any.

        A plain name means prunekit's own plugin, if there is one; `distribution:name` means that of
        the distribution.
        """
        found = [e for e in self.called(name) if kind in (None, e.kind)]
        return [e for e in found if e.source == OWN] or found

    def called(self, name: str) -> list[Entry]:
        """Return every plugin called `name`, of any kind, or `distribution:name`."""
        source, _, short = name.rpartition(":")
        return [e for e in self.entries if e.name == short and source in ("", e.source)]

    def label(self, entry: Entry) -> str:
        """Return the shortest name that means this plugin alone."""
        alone = self.named(entry.name) == [entry]
        return entry.name if alone else f"{entry.source}:{entry.name}"

    def advice(self, name: str, known: Iterable[str]) -> str:
        """Explain where a missing plugin may be: misspelt, not installed, left out, broken."""
        if self._failures_of(name):
            return self.quoted_failures(name)
        known = list(known)
        sentences = [suggest(name, known)]
        if not nearest(name, known):
            sentences.append(" If it is of another distribution, pip install that.")
        if self.left_out:
            sentences.append(f" {ONLY} leaves out {len(self.left_out)} entry points.")
        return "".join([*sentences, self.quoted_failures(name)])

    def quoted_failures(self, name: str) -> str:
        """Explain which plugins failed to load: those that mention `name`, a few, or how many."""
        few = self.failures if len(self.failures) <= FEW else {}
        quoted = (self._failures_of(name) or few).items()
        many = f" {len(self.failures)} plugins did not load; `prunekit list-plugins` says why."
        return "".join(f" Not loaded: {k}: {v}." for k, v in quoted) or (
            many if self.failures else ""
        )

    @contextlib.contextmanager
    def noting_failure(self, label: str) -> Iterator[None]:
        """Record any exception under `label`, as a traceback if PRUNEKIT_DEBUG is set."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may do anything, such as sys.exit, when imported
            self.failures[label] = traceback.format_exc() if debugging() else one_line(error)

    def _failures_of(self, name: str) -> dict[str, str]:
        return {label: reason for label, reason in self.failures.items() if name in label}


@cache
def load() -> Registry:
    """Import every entry point of group `prunekit` and ask it for its classes, once a process.

    An entry point that fails is recorded in `failures` in one line. If PRUNEKIT_PLUGINS is set,
    only the distributions and entry points that it names, separated by commas, are imported.
    """
    return _add_plugins(Registry(), GROUP)


@cache
def load_commands() -> Registry:
    """Return what `load` does, with the plugins of group `prunekit.commands`.

    PRUNEKIT_PLUGINS never leaves out prunekit's own commands.
    """
    return _add_plugins(copy.deepcopy(load()), COMMANDS)


def _add_plugins(registry: Registry, group: str) -> Registry:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    only = {word.strip() for word in os.environ.get(ONLY, "").split(",")} - {""}
    used: set[str] = set()
    for source, version, point in _entry_points():
        label = f"{source} {version}, entry point {point.name}"
        named = {word for word in only if word == point.name or _same(word, source)}
        used |= named
        if point.group != group:
            continue
        if only and not named and (source, group) != (OWN, COMMANDS):
            registry.left_out.append(label)
            continue
        with registry.noting_failure(label), _silenced():
            module = _import(point, label, registry)
            registry.entries += _register(manager, module, source, version, registry.entries)
    if unknown := ", ".join(sorted(only - used)):
        registry.failures[ONLY] = f"names {unknown}, but nothing that is installed is called so"
    return registry


@cache
def _entry_points() -> list[tuple[str, str, Any]]:
    """Return each with the name and version of its distribution, which are slow to read."""
    found: dict[tuple[str, str], tuple[str, str, Any]] = {}
    for dist in importlib.metadata.distributions():
        points = [point for point in dist.entry_points if point.group in (GROUP, COMMANDS)]
        source, version = (dist.metadata["Name"], dist.version) if points else ("", "")
        for point in points:  # an editable install can show a distribution twice
            found.setdefault((point.name, point.value), (source, version, point))
    return list(found.values())


def _same(word: str, distribution: str) -> bool:
    """Return whether two spellings mean one distribution: `Prunekit_Foo` is `prunekit-foo`."""
    one, other = (re.sub(r"[-_.]+", "-", name).lower() for name in (word, distribution))
    return one == other


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Discard what is written to standard output, also by C code or other processes."""
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
    """Import the module of an entry point, and note the cost."""
    before = {name for name in HEAVY if name in sys.modules}
    start = time.process_time()
    try:
        return point.load()
    finally:
        heavy = tuple(name for name in HEAVY if name in sys.modules and name not in before)
        registry.loads[label] = Load(time.process_time() - start, heavy)


def _register(
    manager: pluggy.PluginManager, module: Any, source: str, version: str, others: list[Entry]
) -> list[Entry]:
    check_api(module)
    marked = [n for n in dir(module) if manager.parse_hookimpl_opts(module, n) is not None]
    check_hooks(module, marked)
    entries = [
        Entry(kind, check_class(cls, kind), cls, source, version)
        for kind, (hook, _) in KINDS.items()
        if hook in marked
        for cls in check_classes(getattr(module, hook)(), hook)
    ]
    if not entries:
        raise PluginError("offers nothing: its hooks return no class")
    taken = [e.name for e in (*others, *entries) if e.source == source]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise PluginError(f"{source} offers {', '.join(twice)} twice; names must differ")
    manager.register(module)
    return entries
