"""The key `calibration` of a study's file: other options for its objectives, by label.

An option applies to every objective that has it, and to every part of a mix that has it; options
under the name of an objective apply to that one only, and win.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from prunekit.core.errors import ConfigError
from prunekit.core.options import options_of, suggest
from prunekit.core.registry import Registry
from prunekit.engine.config import parse
from prunekit.plugins.commands.study.definitions import (
    Definition,
    Key,
    labelled,
    objectives_of,
    recalibrated,
)

CALIBRATION = "calibration"
SUCH = "expected options such as {samples: 4}"


def calibrations(given: Any) -> tuple[Definition, ...]:
    """Return what each label says, of which a label without options changes nothing."""
    if not isinstance(given, Mapping):
        such = f"{CALIBRATION}: expected labels with options, as {{small: {{samples: 4}}}}"
        raise ConfigError(f"{such}, got {given!r}", (CALIBRATION,))
    found = []
    for label, said, where in labelled(given, CALIBRATION) if given else ():
        options = {} if said is None else said
        if not isinstance(options, Mapping):
            raise ConfigError(f"{'.'.join(where)}: {SUCH}, got {said!r}", where)
        found.append(Definition(label, where, options, options))
    return tuple(found)


def conditions(
    objectives: Sequence[Definition], calibrations: Sequence[Definition], registry: Registry
) -> tuple[Definition, ...]:
    """Return every objective once with the options of each calibration that applies to it.

    An objective to which none applies is returned as it is. Raises ConfigError for an option that
    no objective has.
    """
    for calibration in calibrations:
        _check_names(calibration, objectives, registry)
    found: list[Definition] = []
    for objective in objectives:
        changed = (_under(calibration, objective, registry) for calibration in calibrations)
        found += list(filter(None, changed)) or [objective]
    return tuple(found)


def _check_names(
    calibration: Definition, objectives: Sequence[Definition], registry: Registry
) -> None:
    plugins = {k: v for o in objectives for k, v in _plugins(o, registry).items()}
    options = {option.name for cls in plugins.values() for option in options_of(cls)}
    for name, value in calibration.given.items():
        where = (*calibration.where, name)
        of_plugin = _canonical(name, registry) in plugins
        if of_plugin and not isinstance(value, Mapping) and name not in options:
            raise ConfigError(f"{'.'.join(where)}: {SUCH}, got {value!r}", where)
        if not (of_plugin if isinstance(value, Mapping) else name in options):
            raise ConfigError(
                f"{'.'.join(where)}: no objective of this study has such an option."
                f"{suggest(name, {*options, *plugins})}",
                where,
            )


def _under(calibration: Definition, objective: Definition, registry: Registry) -> Definition | None:
    """Return the objective with the options of a calibration; None if none of them applies."""
    options = {
        name: _options_for(name, cls, calibration.given, registry)
        for name, cls in _plugins(objective, registry).items()
    }
    applied = {name: of for name, of in options.items() if of is not None}
    if calibration.given and not applied:
        return None
    with _located(calibration, registry):
        changed = recalibrated(objective, applied, registry)
    return replace(changed, calibration=calibration.label)


def _options_for(
    name: str, cls: type, given: Mapping[str, Any], registry: Registry
) -> dict[str, Any] | None:
    """Return the options for one plugin; None if neither it nor an option of it is named."""
    known = {option.name for option in options_of(cls)}
    nested = {k: v for k, v in given.items() if isinstance(v, Mapping)}
    own = [options for plugin, options in nested.items() if _canonical(plugin, registry) == name]
    shared = {k: v for k, v in given.items() if k in known and k not in nested}
    return {k: v for of in (shared, *own) for k, v in of.items()} if own or shared else None


def _plugins(objective: Definition, registry: Registry) -> dict[str, type]:
    """Return the classes of an objective and of its parts, by name."""
    made = objectives_of(parse(objective.given, registry))
    return {name: type(plugin) for name, plugin in made.items()}


def _canonical(name: str, registry: Registry) -> str:
    """Return the shortest name of the objective that `name` means, if it means one."""
    found = registry.named(name, "objective")
    return registry.label(found[0]) if len(found) == 1 else name


@contextmanager
def _located(calibration: Definition, registry: Registry) -> Iterator[None]:
    """Replace the key of an error, of a plugin and its option, by its place in the file."""
    try:
        yield
    except ConfigError as error:
        where = (*calibration.where, *_place(error.key, calibration.given, registry))
        raise ConfigError(str(error), where) from error


def _place(key: Key, given: Mapping[str, Any], registry: Registry) -> Key:
    plugin, option = (*key, "", "")[:2]
    for name, value in given.items():
        is_of = isinstance(value, Mapping) and _canonical(name, registry) == plugin
        if is_of and option in value:
            return (name, option)
    return (option,) if option in given else ()
