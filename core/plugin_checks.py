"""What is asked of a plugin before it can be chosen, so that a listing knows the broken ones."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from prunekit.core import hookspecs
from prunekit.core.errors import PluginError
from prunekit.core.interfaces import Backend, ModelAdapter, Objective, Searcher
from prunekit.core.options import options_of, suggest

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
RESERVED = {
    *("adapter", "backend", "budget", "device", "dtype"),
    *("model", "objective", "protect", "revision", "searcher", "seed"),
}
"""Names that no plugin may have: in configuration files its options stand beside these settings."""
PROTOCOLS: Mapping[str, type[Any]] = {
    "searcher": Searcher,
    "objective": Objective,
    "model": ModelAdapter,
    "backend": Backend,
}


def check_api(module: object) -> None:
    """PluginError where the module says that it was written for another PLUGIN_API."""
    api = getattr(module, "PRUNEKIT_API", hookspecs.PLUGIN_API)
    if type(api) is not int:
        raise PluginError(f"PRUNEKIT_API must be a whole number, not {api!r}")
    if api != hookspecs.PLUGIN_API:
        older = "prunekit" if api > hookspecs.PLUGIN_API else "the plugin"
        raise PluginError(
            f"is written for plugin API {api}, this prunekit has {hookspecs.PLUGIN_API}; "
            f"upgrade {older}"
        )


def check_hooks(module: object, marked: Sequence[str], hooks: Collection[str]) -> None:
    """PluginError where one of the functions `marked` with `@hookimpl` is no hook, or all are not.

    `hooks` are the names of those that there are.
    """
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
    """What a hook returned; PluginError where that is no list of classes."""
    if not isinstance(classes, list | tuple):
        raise PluginError(f"the hook {hook!r} must return a list of classes, not {classes!r}")
    for cls in classes:
        if not isinstance(cls, type):
            raise PluginError(f"the hook {hook!r} must return classes, not {cls!r}")
    return list(classes)


def check_class(cls: type[Any], kind: str) -> str:
    """The name of a plugin class; PluginError where something that its kind needs is missing."""
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
    missing = [m for m in methods_of(kind) if not callable(getattr(cls, m, None))]
    if missing and not hasattr(cls, "parts_by_name"):
        raise PluginError(f"{kind} {name!r} has no method {', '.join(f'`{m}`' for m in missing)}")
    options_of(cls)
    return name


def methods_of(kind: str) -> list[str]:
    """The methods that every plugin of a kind has.

    >>> methods_of("objective")
    ['calibration_set', 'measure']
    """
    members = vars(PROTOCOLS[kind]).items()
    return [
        name
        for name, member in members
        if not name.startswith("_") and (callable(member) or isinstance(member, classmethod))
    ]
