"""Check what a plugin class requires, and give it the defaults of the rest."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prunekit.core import hookspecs, interfaces
from prunekit.core.command import Command
from prunekit.core.errors import PluginError
from prunekit.core.options import options_of, suggest
from prunekit.core.repair import Repair
from prunekit.core.tracker import Tracker

KINDS: Mapping[str, tuple[str, type[Any]]] = {
    "searcher": ("prunekit_searchers", interfaces.Searcher),
    "objective": ("prunekit_objectives", interfaces.Objective),
    "model": ("prunekit_models", interfaces.ModelAdapter),
    "repair": ("prunekit_repairs", Repair),
    "backend": ("prunekit_backends", interfaces.Backend),
    "tracker": ("prunekit_trackers", Tracker),
    "command": ("prunekit_commands", Command),
}
"""The hook and the base class of each kind of plugin."""
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
RESERVED = {
    *("adapter", "attention", "backend", "budget", "device", "dtype", "finalists"),
    *("model", "none", "objective", "protect", "repair", "revision", "searcher", "seed", "shrink"),
}
"""Names that no plugin may have: its options share a configuration file with these settings."""


def check_api(module: object) -> None:
    """Raise PluginError if the module says that it was written for another PLUGIN_API."""
    api = getattr(module, "PRUNEKIT_API", hookspecs.PLUGIN_API)
    if type(api) is not int:
        raise PluginError(f"PRUNEKIT_API must be a whole number, not {api!r}")
    if api != hookspecs.PLUGIN_API:
        older = "prunekit" if api > hookspecs.PLUGIN_API else "the plugin"
        raise PluginError(
            f"is written for plugin API {api}, this prunekit has {hookspecs.PLUGIN_API}; "
            f"upgrade {older}"
        )


def check_hooks(module: object, marked: Sequence[str]) -> None:
    """Raise PluginError if a function `marked` with `@hookimpl` is not a hook, or none is."""
    hooks = [hook for hook, _ in KINDS.values()]
    for name in marked:
        if name not in hooks:
            raise PluginError(f"unknown hook {name!r}.{suggest(name, hooks)}")
        if inspect.signature(getattr(module, name)).parameters:
            raise PluginError(f"the hook {name!r} must take no arguments")
    if not marked:
        raise PluginError(
            f"offers nothing: none of {', '.join(hooks)} is there and marked with `@hookimpl`"
        )


def check_classes(classes: Any, hook: str) -> list[type[Any]]:
    """Return what a hook returned. Raises PluginError if that is not a list of classes."""
    if not isinstance(classes, list | tuple | None):
        raise PluginError(f"the hook {hook!r} must return a list of classes, not {classes!r}")
    for cls in classes or ():
        if not isinstance(cls, type):
            raise PluginError(f"the hook {hook!r} must return classes, not {cls!r}")
    return list(classes or ())


def check_class(cls: type[Any], kind: str) -> str:
    """Return the name of a plugin class, and give it the defaults of its kind.

    Raises PluginError if something that the kind requires is missing.
    """
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(
            f"{cls.__name__} needs a class attribute `name` of lower-case words joined by hyphens, "
            f"not {name!r}"
        )
    if name in RESERVED:
        raise PluginError(f"{kind} {name!r} is called like a setting of a search; rename it")
    if not isinstance(cls.__doc__, str | None):
        raise PluginError(f"{kind} {name!r} has a docstring that is no text: {cls.__doc__!r}")
    if kind == "objective" and not isinstance(getattr(cls, "unit", None), str):
        raise PluginError(f"objective {name!r} needs a class attribute `unit`: `nats per token`")
    base = KINDS[kind][1]
    complete(cls, base)
    missing = [m for m in methods_of(kind) if not _is_callable(cls, m)]
    if missing and not is_mix(cls):
        raise PluginError(f"{kind} {name!r} has no method {', '.join(f'`{m}`' for m in missing)}")
    options_of(cls)
    return name


def is_mix(objective: object) -> bool:
    """Return whether an objective, or its class, is made of others."""
    parts = interfaces.Objective.parts_by_name
    cls = objective if isinstance(objective, type) else type(objective)
    return hasattr(cls, "parts_by_name") and overrides(cls, parts)


def names_of_parts(mix: Any) -> list[str]:
    """Return the names of the objectives that a mix adds up, then of those that only bound it."""
    return list(dict.fromkeys([*mix.parts_by_name(), *mix.bounds_by_name()]))


def methods_of(kind: str) -> list[str]:
    """Return the methods that every plugin of a kind must have.

    >>> methods_of("objective")
    ['calibration_set', 'measure']
    """
    return [n for n, member in vars(KINDS[kind][1]).items() if is_required(member)]


def _is_callable(cls: type[Any], name: str) -> bool:
    member = getattr(cls, name, None)
    return callable(member) and not is_required(member)


def complete(cls: type[Any], base: type[Any]) -> None:
    """Give a class that does not inherit from `base` the defaults of its optional members."""
    if issubclass(cls, base):
        return
    for name, member in vars(base).items():
        if not (name.startswith("_") or is_required(member) or hasattr(cls, name)):
            setattr(cls, name, () if name == "needs" else member)


def overrides(plugin: object, default: Callable[..., Any]) -> bool:
    """Return whether a plugin, or its class, has its own version of an optional method."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return inspect.getattr_static(cls, default.__name__) is not default


def is_required(member: object) -> bool:
    """Return whether a member of a base class is abstract."""
    return bool(getattr(member, "__isabstractmethod__", False))
